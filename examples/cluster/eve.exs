# A user of the chat in Elixir: joins, says one line, prints what it hears, and ends.
room = {:room, :"room@127.0.0.1"}

{:ok, users} = GenServer.call(room, {:join, "eve", self()})
IO.puts("in the room: #{Enum.join(users, ", ")}")
GenServer.cast(room, {:say, "eve", "hello from Elixir"})

hear = fn hear ->
  receive do
    {:said, "eve", _} -> hear.(hear)
    {:said, name, text} -> IO.puts("#{name}: #{text}")
    {:joined, name} -> IO.puts("#{name} joined"); hear.(hear)
    {:left, name, why} -> IO.puts("#{name} left: #{why}"); hear.(hear)
  after
    30_000 -> IO.puts("heard nothing")
  end
end

hear.(hear)
