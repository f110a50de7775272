%% Runs programs of events on a gen_statem, and prints what each program handles and enters, a line for
%% each program. A file has a program on each line: a list of events, which are casts.
%%
%% An event is {Number, PostponedIn, Requests, Next}.
-module(statem).
-behaviour(gen_statem).
-export([main/1, init/1, callback_mode/0, handle_event/4]).

main([File]) ->
    logger:set_primary_config(level, none),
    {ok, Programs} = file:consult(File),
    [program(Events) || Events <- Programs],
    halt().

program(Events) ->
    {ok, Machine} = gen_statem:start(?MODULE, self(), []),
    ok = sys:suspend(Machine),
    [gen_statem:cast(Machine, Event) || Event <- Events],
    ok = sys:resume(Machine),
    %% In its turn: after all events, those that are handled again, and time-outs of zero.
    ok = gen_statem:stop(Machine),
    io:format("~s~n", [lists:join(" ", handled())]).

handled() ->
    receive {handled, Line} -> [Line | handled()] after 0 -> [] end.

init(Parent) ->
    {ok, 0, Parent}.

callback_mode() ->
    [handle_event_function, state_enter].

handle_event(enter, _, State, Parent) ->
    note(Parent, State, enter, 0),
    keep_state_and_data;
handle_event(Type, {Number, PostponedIn, Requests, Next}, State, Parent) ->
    case lists:member(State, PostponedIn) of
        true ->
            {keep_state_and_data, [postpone]};
        false ->
            note(Parent, State, kind(Type), Number),
            Actions = [action(Request) || Request <- Requests],
            case Next of
                keep -> {keep_state_and_data, Actions};
                repeat -> {repeat_state_and_data, Actions};
                To -> {next_state, To, Parent, Actions}
            end
    end.

note(Parent, State, Kind, Number) ->
    Parent ! {handled, io_lib:format("~p:~p:~p", [State, Kind, Number])}.

kind(timeout) -> event_timeout;
kind({timeout, _}) -> timeout;
kind(Type) -> Type.

action({insert, Event}) -> {next_event, internal, Event};
action({zero, Kind, Event}) -> {type(Kind), 0, Event};
action({cancel, Kind}) -> {type(Kind), cancel};
action({update, Kind, Event}) -> {type(Kind), update, Event}.

type(state) -> state_timeout;
type(event) -> timeout;
type(Name) -> {timeout, Name}.
