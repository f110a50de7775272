%% Runs the scripts of a file on this BEAM, and prints what each step does.
-module(conformance).
-export([main/1, child/3, init/1]).

main([File]) ->
    {ok, Text} = file:read_file(File),
    {ok, _} = pg:start_link(),
    logger:set_primary_config(level, none),
    Scripts = string:split(string:trim(Text), <<"\n\n">>, all),
    [script(string:split(Script, <<"\n">>, all)) || Script <- Scripts],
    halt().

script(Lines) ->
    ets:new(pids, [named_table, public]),
    ets:new(names, [named_table, public]),
    ets:new(starts, [named_table, public]),
    register(driver, self()),
    [step(Line) || Line <- Lines, not string:equal(string:slice(Line, 0, 1), <<"#">>)],
    [exit(Pid, kill) || {_, Pid} <- ets:tab2list(pids)],
    case whereis(top) of undefined -> ok; Top -> exit(Top, kill) end,
    settle(),
    unregister(driver),
    flush([]),
    ets:delete(pids),
    ets:delete(names),
    ets:delete(starts),
    io:put_chars("\n").

step(Line) ->
    Words = [binary_to_atom(Word) || Word <- string:split(Line, <<" ">>, all)],
    Result = act(Words),
    settle(),
    All = lists:sort(flush([])),
    Changes = [Change || Change <- All, not is_last(Change, All)],
    Shown = [io_lib:format("; ~s", [Change]) || Change <- Changes],
    io:format("~s: ~s~s~n", [Line, Result, Shown]).

%% Whether this is what a process got in the step in which it ended: it may have ended before.
is_last(Change, All) ->
    case string:split(Change, " ", all) of
        [Name, "got" | _] ->
            Restarted = [1 || Other <- All, lists:prefix(Name ++ " started", Other)],
            not alive(list_to_atom(Name)) orelse Restarted =/= [];
        _ -> false
    end.

%% Signals between two processes have no order with those of others, so the changes of a step are
%% sorted. With one scheduler, each round lets each process take what has arrived.
%% A dead supervisor answers with an exit.
settle() -> settle(20).
settle(0) -> ok;
settle(Rounds) ->
    [ping(Pid) || {Name, Pid} <- ets:tab2list(pids), Name =/= top, is_process_alive(Pid)],
    catch supervisor:count_children(top),
    settle(Rounds - 1).

ping(Pid) ->
    Ref = monitor(process, Pid),
    Pid ! {ping, self(), Ref},
    receive
        {pong, Ref} -> demonitor(Ref, [flush]);
        {'DOWN', Ref, _, _, _} -> ok
    end.

flush(Changes) ->
    receive
        {change, Change} -> flush([Change | Changes]);
        {'DOWN', _, process, Pid, Reason} ->
            flush([text("~s gone ~s", [name(Pid), reason(Reason)]) | Changes])
    after 0 -> Changes
    end.

text(Format, Args) -> lists:flatten(io_lib:format(Format, Args)).

name(Pid) ->
    case ets:lookup(names, Pid) of
        [{_, Name}] -> Name;
        [] -> other
    end.

know(Name, Pid) ->
    ets:insert(names, {Pid, Name}),
    ets:insert(pids, {Name, Pid}).

reason(Reason) -> text("~w", [Reason]).

term(sx) -> {shutdown, x};
term(Reason) -> Reason.

pid(Name) ->
    case ets:lookup(pids, Name) of
        [{_, Pid}] -> Pid;
        [] -> undefined
    end.

alive(Name) ->
    case pid(Name) of
        undefined -> false;
        Pid -> is_process_alive(Pid)
    end.

act([spawn, Name | Flags]) ->
    Pid = spawn(fun() -> puppet(Name, Flags) end),
    know(Name, Pid),
    monitor(process, Pid),
    ok;
act([supervise, Strategy, Intensity | Children]) ->
    Specs = [spec(string:split(atom_to_list(Child), ":", all)) || Child <- Children],
    Flags = #{strategy => Strategy, intensity => number(Intensity), period => 1000},
    Self = self(),
    {Starter, Monitor} = spawn_monitor(fun() ->
        {ok, Top} = supervisor:start_link({local, top}, ?MODULE, {Flags, Specs}),
        unlink(Top),
        Self ! {top, Top}
    end),
    receive {top, Top} -> know(top, Top), monitor(process, Top) end,
    receive {'DOWN', Monitor, process, Starter, _} -> ok end,
    ok;
act([children]) ->
    case alive(top) of
        false -> gone;
        true ->
            Children = [{Id, ets:lookup_element(starts, Id, 2), is_pid(Pid)}
                        || {Id, Pid, _, _} <- lists:reverse(supervisor:which_children(top))],
            Show = fun({Id, Starts, Runs}) ->
                text("~s~s ~w", [case Runs of true -> ""; false -> "-" end, Id, Starts])
            end,
            lists:join(", ", [Show(Child) || Child <- Children])
    end;
act([admin, Request, Id]) ->
    case alive(top) of
        false -> gone;
        true ->
            case supervisor:Request(top, Id) of
                ok -> ok;
                {ok, _} -> ok;
                {error, Error} -> Error
            end
    end;
act([unregister, Name]) ->
    try unregister(Name) of true -> ok catch error:badarg -> refused end;
act([whereis, Name]) ->
    case whereis(Name) of
        undefined -> none;
        Pid -> atom_to_list(name(Pid))
    end;
act([members, Group]) ->
    case lists:sort([atom_to_list(name(Pid)) || Pid <- pg:get_local_members(Group)]) of
        [] -> none;
        Names -> lists:join(" ", Names)
    end;
act([Verb, Name | Args]) ->
    case alive(Name) of
        false -> gone;
        true ->
            Ref = monitor(process, pid(Name)),
            pid(Name) ! {do, self(), Ref, [Verb | Args]},
            receive
                {done, Ref, Result} -> demonitor(Ref, [flush]), Result;
                {'DOWN', Ref, _, _, _} -> ok
            end
    end.

number(Atom) -> list_to_integer(atom_to_list(Atom)).

spec([Id, Restart]) ->
    Name = list_to_atom(Id),
    #{id => Name, start => {?MODULE, child, [Name, self(), []]},
      restart => list_to_atom(Restart), shutdown => 5000}.

init({Flags, Specs}) -> {ok, {Flags, Specs}}.

%% A child of the supervisor is a process as any other, under the name of the child.
child(Name, Driver, Flags) ->
    Pid = spawn_link(fun() -> puppet(Name, Flags) end),
    know(Name, Pid),
    Starts = ets:update_counter(starts, Name, 1, {Name, 0}),
    Driver ! {change, text("~s started ~w", [Name, Starts])},
    {ok, Pid}.

puppet(Name, Flags) ->
    process_flag(trap_exit, lists:member(trap, Flags)),
    loop(Name, []).

loop(Name, Monitors) ->
    receive
        {ping, From, Ref} ->
            From ! {pong, Ref},
            loop(Name, Monitors);
        {do, From, Ref, [monitor, Other]} ->
            Monitor = monitor(process, pid(Other)),
            From ! {done, Ref, ok},
            loop(Name, Monitors ++ [{Monitor, Other}]);
        {do, From, Ref, [monitor_name, Other]} ->
            Monitor = monitor(process, Other),
            From ! {done, Ref, ok},
            loop(Name, Monitors ++ [{Monitor, Other}]);
        {do, From, Ref, [demonitor, Other]} ->
            case lists:keyfind(Other, 2, Monitors) of
                false ->
                    From ! {done, Ref, none},
                    loop(Name, Monitors);
                {Monitor, _} = Entry ->
                    demonitor(Monitor, [flush]),
                    From ! {done, Ref, ok},
                    loop(Name, lists:delete(Entry, Monitors))
            end;
        {do, From, Ref, Command} ->
            Result = obey(Command),
            From ! {done, Ref, Result},
            loop(Name, Monitors);
        {'DOWN', _, process, {Other, _}, Reason} ->
            got(Name, text("down ~s ~s", [Other, reason(Reason)])),
            loop(Name, Monitors);
        {'DOWN', Monitor, process, Pid, Reason} ->
            Other = case lists:keyfind(Monitor, 1, Monitors) of
                {_, Known} -> Known;
                false -> name(Pid)
            end,
            got(Name, text("down ~s ~s", [Other, reason(Reason)])),
            loop(Name, Monitors);
        {'EXIT', Pid, Reason} ->
            got(Name, text("exit ~s ~s", [name(Pid), reason(Reason)])),
            loop(Name, Monitors);
        {message, Other, Text} ->
            got(Name, text("message ~s ~s", [Other, Text])),
            loop(Name, Monitors)
    end.

got(Name, What) -> driver ! {change, text("~s got ~s", [Name, What])}.

obey([link, Other]) ->
    Traps = process_info(self(), trap_exit) =:= {trap_exit, true},
    case alive(Other) orelse Traps of
        true -> link(pid(Other)), ok;
        false -> skipped
    end;
obey([unlink, Other]) -> unlink(pid(Other)), ok;
obey([exit, Other, Reason]) -> exit(pid(Other), term(Reason)), ok;
obey(['end', Reason]) -> exit(term(Reason));
obey([send, Other, Text]) -> pid(Other) ! {message, name(self()), Text}, ok;
obey([trap, Flag]) -> process_flag(trap_exit, Flag =:= on), ok;
obey([register, Name]) ->
    %% A process of OTP has one name at most.
    case process_info(self(), registered_name) of
        {registered_name, _} -> skipped;
        [] -> try register(Name, self()) of true -> ok catch error:badarg -> refused end
    end;
obey([join, Group]) ->
    %% A group of OTP has a member as often as it has joined.
    case lists:member(self(), pg:get_local_members(Group)) of
        true -> skipped;
        false -> pg:join(Group, self()), ok
    end;
obey([leave, Group]) ->
    case pg:leave(Group, self()) of ok -> ok; not_joined -> refused end.
