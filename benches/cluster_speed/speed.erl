%% A node of Erlang: the server that is called, and the callers.
-module(speed).
-behaviour(gen_server).
-export([main/0]).
-export([init/1, handle_call/3, handle_cast/2]).

main() ->
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, [], []),
    io:format("ready~n"),
    orders().

%% Measures one order a line.
orders() ->
    case io:get_line("") of
        eof ->
            halt();
        Line ->
            [Order, Node | Numbers] = string:lexemes(Line, " \n"),
            There = {?MODULE, list_to_atom(Node)},
            price(There), % connects
            [First, Second] = [list_to_integer(Number) || Number <- Numbers],
            Figures = measure(Order, There, First, Second),
            io:format("~s~n", [[io_lib:format("~.3f ", [Figure]) || Figure <- Figures]]),
            orders()
    end.

%% Figures in thousands a second, and for `beside` in milliseconds.
measure("calls", There, Callers, Count) ->
    rate(Count, fun() ->
        each_of(Callers, fun() -> repeat(Count div Callers, fun() -> price(There) end) end)
    end);
measure("casts", There, Senders, Count) ->
    Before = gen_server:call(There, total),
    Sent = Count div Senders * Senders,
    Rate = rate(Count, fun() ->
        Totals = each_of(Senders, fun() ->
            repeat(Count div Senders, fun() -> gen_server:cast(There, {add, 1}) end),
            gen_server:call(There, total, 60000)
        end),
        Sent = lists:max(Totals) - Before
    end),
    Rate;
measure("echoes", There, Bytes, Count) ->
    Binary = binary:copy(<<"x">>, Bytes),
    rate(Count, fun() -> repeat(Count, fun() -> Binary = echo(There, Binary) end) end);
measure("beside", There, Bytes, Count) ->
    Binary = binary:copy(<<"x">>, Bytes),
    Parent = self(),
    Start = now_ms(),
    spawn_link(fun() ->
        repeat(Count, fun() -> Binary = echo(There, Binary) end),
        Parent ! over
    end),
    Waits = list_to_tuple(lists:sort(waits(There, []))),
    At = fun(Percent) -> element(tuple_size(Waits) * Percent div 100 + 1, Waits) end,
    [At(50), At(99), Count * 1000 / (now_ms() - Start)].

waits(There, Waits) ->
    receive
        over -> Waits
    after 0 ->
        Start = now_ms(),
        price(There),
        waits(There, [now_ms() - Start | Waits])
    end.

rate(Count, Work) ->
    Start = now_ms(),
    Work(),
    [Count / (now_ms() - Start)].

%% Runs the work in many processes at once, and returns their results.
each_of(Count, Work) ->
    Parent = self(),
    [spawn_link(fun() -> Parent ! {result, Work()} end) || _ <- lists:seq(1, Count)],
    [receive {result, Result} -> Result end || _ <- lists:seq(1, Count)].

repeat(0, _) -> ok;
repeat(Count, Work) ->
    Work(),
    repeat(Count - 1, Work).

price(There) -> 1 = gen_server:call(There, {price, <<"milk">>}, 60000).

echo(There, Binary) -> gen_server:call(There, {echo, Binary}, 60000).

now_ms() -> erlang:monotonic_time(nanosecond) / 1.0e6.

init([]) -> {ok, 0}.

handle_call({price, Item}, _, Total) -> {reply, price_of(Item), Total};
handle_call({echo, Binary}, _, Total) -> {reply, Binary, Total};
handle_call(total, _, Total) -> {reply, Total, Total}.

handle_cast({add, Number}, Total) -> {noreply, Total + Number}.

price_of(<<"milk">>) -> 1;
price_of(_) -> 0.
