%% A gen_server that nodes of this crate call.
-module(beam_server).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

init(Notes) -> {ok, Notes}.

handle_call(size, _, Notes) -> {reply, length(Notes), Notes};
handle_call({put, Key, Times}, _, Notes) ->
    {reply, ok, lists:duplicate(Times, Key) ++ Notes};
handle_call({get, Key}, _, Notes) ->
    Found = case lists:member(Key, Notes) of true -> Key; false -> nil end,
    {reply, Found, Notes};
handle_call(text, _, Notes) -> {reply, <<"seven">>, Notes};
handle_call({slow, Millis}, _, Notes) -> timer:sleep(Millis), {reply, 3, Notes};
handle_call({later, Millis}, From, Notes) ->
    spawn(fun() -> timer:sleep(Millis), gen_server:reply(From, 4) end),
    {noreply, Notes};
handle_call(crash, _, _) -> exit(no_luck);
handle_call(stop, _, Notes) -> {stop, normal, Notes};
handle_call({price, Key}, _, Notes) -> {reply, {ok, byte_size(Key)}, Notes};
handle_call(caller, {Pid, _}, Notes) -> {reply, node(Pid), Notes}.

handle_cast({note, Note}, Notes) -> {noreply, [Note | Notes]}.
