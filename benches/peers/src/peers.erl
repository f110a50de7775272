%% The rows of the comparison on the BEAM. `main([Row, Size])` prints the figures of one row.
-module(peers).
-behaviour(gen_server).
-export([main/1]).
-export([init/1, handle_call/3, handle_cast/2, start_child/1]).

main([Row, Size]) ->
    %% Reports of expected crashes are not measured.
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    Figures = measure(Row, list_to_integer(Size)),
    [io:format("~.3f~n", [float(Figure)]) || Figure <- Figures],
    erlang:halt(0).

measure("spawn", N) ->
    each(N, fun() ->
        Monitors = [element(2, spawn_monitor(fun() -> ok end)) || _ <- lists:seq(1, N)],
        [receive {'DOWN', M, process, _, _} -> ok end || M <- Monitors]
    end);
measure("idle", N) ->
    bytes(N, fun() -> [spawn(fun wait/0) || _ <- lists:seq(1, N)] end);
measure("server", N) ->
    bytes(N, fun() -> [start_server() || _ <- lists:seq(1, N)] end);
measure("send", N) ->
    Parent = self(),
    Sink = spawn(fun() -> sink(N), Parent ! done end),
    each(N, fun() ->
        send(Sink, N),
        receive done -> ok end
    end);
measure("call", N) ->
    Server = start_server(),
    each(N, fun() -> calls(Server, N) end);
measure("calls", N) ->
    percentiles(timed_from_many(start_server(), 64, (N + 63) div 64));
measure("start", N) ->
    Supervisor = start_supervisor(simple_one_for_one, []),
    each(N, fun() -> start_children(Supervisor, N) end);
measure("terminate", N) ->
    Supervisor = start_supervisor(simple_one_for_one, []),
    Children = start_children(Supervisor, N),
    each(N, fun() -> [ok = supervisor:terminate_child(Supervisor, C) || C <- Children] end);
measure("stop", N) ->
    Supervisor = start_supervisor(simple_one_for_one, []),
    start_children(Supervisor, N),
    each(N, fun() ->
        exit(Supervisor, shutdown),
        receive {'EXIT', Supervisor, _} -> ok end
    end);
measure("restart", N) ->
    start_supervisor(one_for_one, [child(last, self())]),
    each(N, fun() -> restarts(up(), N) end);
measure("group", N) ->
    Others = [child(Id, none) || Id <- lists:seq(1, 99)],
    start_supervisor(one_for_all, Others ++ [child(last, self())]),
    each(N, fun() -> restarts(up(), N) end);
measure("links", N) ->
    Before = erlang:system_info(process_count),
    First = spawn(fun wait/0),
    [spawn(fun() -> link(First), wait() end) || _ <- lists:seq(2, N)],
    timer:sleep(300),
    each(N, fun() ->
        exit(First, kill),
        wait_for_count(Before)
    end);
measure("monitors", N) ->
    Parent = self(),
    Target = spawn(fun() -> receive stop -> ok end end),
    Left = atomics:new(1, []),
    atomics:put(Left, 1, N),
    [spawn(fun() -> watch(Target, Left, Parent) end) || _ <- lists:seq(1, N)],
    timer:sleep(300),
    each(N, fun() ->
        Target ! stop,
        receive done -> ok end
    end);
measure("timers", N) ->
    Target = spawn(fun wait/0),
    each(N, fun() ->
        Timers = [erlang:send_after(600000, Target, <<I:64>>) || I <- lists:seq(1, N)],
        [erlang:cancel_timer(T) || T <- Timers]
    end);
measure(_, _) ->
    [].

%% Nanoseconds for each of N.
each(N, Work) ->
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    [(erlang:monotonic_time(nanosecond) - Start) / N].

%% Resident bytes for each of N.
bytes(N, Work) ->
    Before = resident(),
    Kept = Work(),
    timer:sleep(300),
    After = resident(),
    N = length(Kept),
    [max(0, After - Before) / N].

resident() ->
    Statm = os:cmd("cat /proc/" ++ os:getpid() ++ "/statm"),
    list_to_integer(lists:nth(2, string:tokens(Statm, " "))) * 4096.

wait() -> receive stop -> ok end.

sink(0) -> ok;
sink(N) -> receive <<_:64>> -> sink(N - 1) end.

send(_, 0) -> ok;
send(Sink, N) ->
    Sink ! <<N:64>>,
    send(Sink, N - 1).

calls(_, 0) -> ok;
calls(Server, N) ->
    gen_server:call(Server, get),
    calls(Server, N - 1).

timed_from_many(Server, Callers, Times) ->
    Parent = self(),
    [spawn(fun() -> Parent ! {waits, timed(Server, Times, [])} end)
     || _ <- lists:seq(1, Callers)],
    lists:append([receive {waits, Waits} -> Waits end || _ <- lists:seq(1, Callers)]).

timed(_, 0, Waits) -> Waits;
timed(Server, N, Waits) ->
    Start = erlang:monotonic_time(nanosecond),
    gen_server:call(Server, get),
    timed(Server, N - 1, [erlang:monotonic_time(nanosecond) - Start | Waits]).

percentiles(Waits) ->
    Sorted = list_to_tuple(lists:sort(Waits)),
    [element(tuple_size(Sorted) * At div 1000 + 1, Sorted) || At <- [500, 990, 999]].

watch(Target, Left, Parent) ->
    Monitor = monitor(process, Target),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    case atomics:sub_get(Left, 1, 1) of
        0 -> Parent ! done;
        _ -> ok
    end.

wait_for_count(Count) ->
    case erlang:system_info(process_count) > Count of
        true -> erlang:yield(), wait_for_count(Count);
        false -> ok
    end.

%% Servers and supervisors.
start_server() ->
    {ok, Server} = gen_server:start(?MODULE, {server, none}, []),
    Server.

start_child(Up) -> gen_server:start_link(?MODULE, {server, Up}, []).

child(Id, Up) -> #{id => Id, start => {?MODULE, start_child, [Up]}}.

start_supervisor(Strategy, Children) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {supervisor, Strategy, Children}),
    Supervisor.

start_children(Supervisor, N) ->
    [element(2, supervisor:start_child(Supervisor, [none])) || _ <- lists:seq(1, N)].

up() -> receive {up, Server} -> Server end.

restarts(_, 0) -> ok;
restarts(Server, N) ->
    gen_server:cast(Server, fail),
    restarts(up(), N - 1).

init({server, none}) -> {ok, 0};
init({server, Up}) ->
    Up ! {up, self()},
    {ok, 0};
init({supervisor, simple_one_for_one, []}) ->
    Child = #{id => child, start => {?MODULE, start_child, []}},
    {ok, {#{strategy => simple_one_for_one, intensity => 1000, period => 1}, [Child]}};
init({supervisor, Strategy, Children}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000, period => 1}, Children}}.

handle_call(get, _, Count) -> {reply, Count + 1, Count + 1}.

handle_cast(fail, _) -> error(as_asked).
