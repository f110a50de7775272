// Which process waits for the reply of which server, as chains of calls.
"use strict";

/** The number of chains, and the number of processes in one, that are built at most. */
const CHAINS = 50;
const LENGTH = 64;

/** Returns the chains, cycles first: `{ links: [{ pid, path }], isCycle }`. */
export function chainsOf(waits) {
  const calls = new Map(); // caller -> the servers that it waits for
  const servers = new Set();
  const paths = new Map();
  for (const { caller, caller_path, server, server_path } of waits) {
    if (!calls.has(caller)) calls.set(caller, new Set());
    calls.get(caller).add(server);
    servers.add(server);
    paths.set(caller, caller_path).set(server, server_path);
  }
  const visited = new Set();
  const chains = [];
  const link = (pid) => ({ pid, path: paths.get(pid) || null });
  const follow = (chain) => {
    const last = chain.at(-1);
    visited.add(last);
    const next = [...(calls.get(last) || [])];
    if (!next.length || chain.length >= LENGTH) {
      if (chains.length < CHAINS) chains.push({ links: chain.map(link), isCycle: false });
      return;
    }
    for (const server of next) {
      if (chains.length >= CHAINS) return;
      const at = chain.indexOf(server);
      if (at >= 0) chains.push({ links: [...chain, server].map(link), isCycle: true });
      else follow([...chain, server]);
    }
  };
  for (const caller of calls.keys()) if (!servers.has(caller)) follow([caller]);
  // The callers that no chain has reached are in cycles.
  for (const caller of calls.keys()) if (!visited.has(caller)) follow([caller]);
  return chains.sort((a, b) => b.isCycle - a.isCycle || b.links.length - a.links.length);
}
