%% Answers requests about terms. A request, and an answer, has its size in four bytes in front.
%%
%% `echo` decodes a term, and answers with Erlang's own bytes of it. `same` answers whether two terms
%% are the same, and `text` whether a text is that of a term. `make` answers with terms of Erlang.
-module(beam_terms).
-export([main/0]).

main() ->
    loop(open_port({fd, 0, 1}, [binary, eof, {packet, 4}])).

loop(Port) ->
    receive
        {Port, {data, Request}} ->
            port_command(Port, request(Request)),
            loop(Port);
        {Port, eof} ->
            halt(0)
    end.

request(<<"echo", Bytes/binary>>) ->
    Term = binary_to_term(Bytes),
    term_to_binary(Term, [{minor_version, 2}]);
request(<<"same", Size:32, Bytes/binary>>) ->
    <<First:Size/binary, Second/binary>> = Bytes,
    term_to_binary(binary_to_term(First) =:= binary_to_term(Second), [{minor_version, 2}]);
request(<<"text", Size:32, Bytes/binary>>) ->
    <<Encoded:Size/binary, Text/binary>> = Bytes,
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text) ++ "."),
    {ok, Parsed} = erl_parse:parse_term(Tokens),
    term_to_binary(binary_to_term(Encoded) =:= Parsed, [{minor_version, 2}]);
request(<<"make">>) ->
    X = [a, 1.5],
    Terms = [
        [-1], [255], lists:seq(0, 255), lists:duplicate(65535, 7), lists:duplicate(65536, 7),
        lists:duplicate(70000, 255), 1 bsl 31, -(1 bsl 31), -(1 bsl 31) - 1, 1 bsl 63,
        -(1 bsl 63), -(1 bsl 63) - 1, 1 bsl 70, 1 bsl 2040 - 1, 1 bsl 2040, -(1 bsl 3000),
        -0.0, 0.1, 1.7976931348623157e308, self(), make_ref(), hd(erlang:ports()),
        fun lists:map/2, fun() -> X end, fun(Y) -> [Y | X] end, #{}, #{1 => 1, 1.0 => 2},
        maps:from_list([{N, N} || N <- lists:seq(1, 100)]), <<1:1>>, <<0:7>>, <<1, 2, 5:3>>,
        'ok', '', list_to_atom(lists:duplicate(255, 16#8A9E)), [1 | 2], [a, b | <<>>],
        list_to_tuple(lists:seq(1, 255)), list_to_tuple(lists:seq(1, 256)), erlang:alias(),
        lists:foldl(fun(_, T) -> [T] end, [], lists:seq(1, 10000)),
        lists:foldl(fun(_, T) -> {T, [T]} end, x, lists:seq(1, 10))
    ],
    term_to_binary([term_to_binary(T, [{minor_version, 2}]) || T <- Terms], [{minor_version, 2}]).
