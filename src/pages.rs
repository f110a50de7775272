//! README and the book: their examples are compiled and run as doctests.

#[doc = include_str!("../README.md")]
struct Readme;
#[doc = include_str!("../book/src/introduction.md")]
struct Introduction;
#[doc = include_str!("../book/src/if-you-know-erlang.md")]
struct IfYouKnowErlang;
#[doc = include_str!("../book/src/if-you-know-tokio.md")]
struct IfYouKnowTokio;
#[doc = include_str!("../book/src/a-first-server.md")]
struct AFirstServer;
#[doc = include_str!("../book/src/processes.md")]
struct Processes;
#[doc = include_str!("../book/src/when-processes-die.md")]
struct WhenProcessesDie;
#[doc = include_str!("../book/src/time-and-names.md")]
struct TimeAndNames;
#[doc = include_str!("../book/src/the-same-loop.md")]
struct TheSameLoop;
#[doc = include_str!("../book/src/genserver.md")]
struct Servers;
#[doc = include_str!("../book/src/replies-later.md")]
struct RepliesLater;
#[doc = include_str!("../book/src/how-servers-end.md")]
struct HowServersEnd;
#[doc = include_str!("../book/src/call-cast-or-info.md")]
struct CallCastOrInfo;
#[doc = include_str!("../book/src/where-state-lives.md")]
struct WhereStateLives;
#[doc = include_str!("../book/src/events.md")]
struct Events;
#[doc = include_str!("../book/src/state-machines.md")]
struct StateMachines;
#[doc = include_str!("../book/src/let-it-crash.md")]
struct LetItCrash;
#[doc = include_str!("../book/src/supervise-a-future.md")]
struct SuperviseAFuture;
#[doc = include_str!("../book/src/supervisors.md")]
struct Supervisors;
#[doc = include_str!("../book/src/strategies-and-intensity.md")]
struct StrategiesAndIntensity;
#[doc = include_str!("../book/src/backoff.md")]
struct Backoffs;
#[doc = include_str!("../book/src/children-by-the-dozen.md")]
struct ChildrenByTheDozen;
#[doc = include_str!("../book/src/pools.md")]
struct Pools;
#[doc = include_str!("../book/src/hand-a-socket-to-a-child.md")]
struct HandASocketToAChild;
#[cfg(feature = "net")]
#[doc = include_str!("../book/src/listeners.md")]
struct Listeners;
#[doc = include_str!("../book/src/a-tree-that-starts-and-stops.md")]
struct ATreeThatStartsAndStops;
#[doc = include_str!("../book/src/testing.md")]
struct Testing;
#[doc = include_str!("../book/src/observing.md")]
struct Observing;
#[cfg(feature = "serde")]
#[doc = include_str!("../book/src/json-lines.md")]
struct JsonLines;
#[doc = include_str!("../book/src/metrics.md")]
struct Metrics;
#[doc = include_str!("../book/src/under-load.md")]
struct UnderLoad;
#[doc = include_str!("../book/src/pipelines.md")]
struct Pipelines;
#[doc = include_str!("../book/src/tower.md")]
struct Tower;
#[doc = include_str!("../book/src/the-chat-server.md")]
struct TheChatServer;
#[doc = include_str!("../book/src/in-production.md")]
struct InProduction;
#[doc = include_str!("../book/src/a-service-whole.md")]
struct AServiceWhole;
#[doc = include_str!("../book/src/patterns.md")]
struct Patterns;
#[doc = include_str!("../book/src/lines-saved.md")]
struct LinesSaved;
#[doc = include_str!("../book/src/promises.md")]
struct Promises;
#[doc = include_str!("../book/src/observation-format.md")]
struct TheObservationFormat;
#[doc = include_str!("../book/src/semantics.md")]
struct Semantics;
#[doc = include_str!("../book/src/what-costs-what.md")]
struct WhatCostsWhat;
#[doc = include_str!("../book/src/other-crates.md")]
struct OtherCrates;
#[doc = include_str!("../book/src/otp-word-by-word.md")]
struct OtpWordByWord;
#[doc = include_str!("../book/src/defaults.md")]
struct Defaults;
#[doc = include_str!("../book/src/glossary.md")]
struct Glossary;
#[doc = include_str!("../book/src/in-pictures.md")]
struct InPictures;
#[doc = include_str!("../book/src/how-it-is-built.md")]
struct HowItIsBuilt;
#[doc = include_str!("../book/src/design/processes.md")]
struct DesignProcesses;
#[doc = include_str!("../book/src/design/calls.md")]
struct DesignCalls;
#[doc = include_str!("../book/src/design/supervision.md")]
struct DesignSupervision;
#[doc = include_str!("../book/src/design/programs.md")]
struct DesignPrograms;
#[doc = include_str!("../book/src/design/observing.md")]
struct DesignObserving;
#[doc = include_str!("../book/src/design/cluster.md")]
struct DesignCluster;
#[doc = include_str!("../book/src/design/carriers.md")]
struct DesignCarriers;
#[doc = include_str!("../book/src/design/terms.md")]
struct DesignTerms;
#[doc = include_str!("../book/src/design/dependencies.md")]
struct DesignDependencies;
#[cfg(feature = "cluster")]
#[doc = include_str!("../book/src/more-than-one-machine.md")]
struct MoreThanOneMachine;
#[cfg(feature = "cluster")]
#[doc = include_str!("../book/src/rust-and-elixir.md")]
struct RustAndElixir;
#[doc = include_str!("../book/src/when-the-network-fails.md")]
struct WhenTheNetworkFails;
#[doc = include_str!("../book/src/security-of-nodes.md")]
struct SecurityOfNodes;
#[doc = include_str!("../book/src/beside-the-beam.md")]
struct BesideTheBeam;
