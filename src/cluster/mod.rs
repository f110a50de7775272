// **Uses** `base`, `exit`, `message`, `process`, `kernel`, `runtime`, `child`, `server`, `supervisor`.
// **Knows nothing of** programs, observers and metrics.

//! Nodes of an Erlang cluster: processes of this program and processes on the BEAM reach each other
//! over the Erlang distribution protocol. Requires the feature `cluster`.
