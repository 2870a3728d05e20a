// A TCP proxy on 127.0.0.1 that can lose its connections, and refuse new ones, for a while.

import { connect, createServer } from "node:net";

/**
 * @param {string} target `host:port`
 * @returns {Promise<{host: string, cut: () => void, mend: () => void, close: () => void}>}
 */
export async function openProxy(target) {
  const { hostname, port } = new URL(`tcp://${target}`);
  const sockets = new Set();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) return client.resetAndDestroy();
    const upstream = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    host: `127.0.0.1:${server.address().port}`,
    cut() {
      isCut = true;
      drop();
    },
    mend() {
      isCut = false;
    },
    close() {
      server.close();
      drop();
    },
  };
}
