// A web site of its own on 127.0.0.1, whose pages use the server as the pages of another site do.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";

const TYPES = { html: "text/html", mjs: "text/javascript", js: "text/javascript" };

/**
 * Serves files and nothing else.
 * @param {Record<string, URL | string>} files what a path is answered with: a file, or the text itself
 * @returns {Promise<{origin: string, close: () => void}>}
 */
export async function openSite(files) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://site").pathname;
    const file = files[path];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const name = file instanceof URL ? file.pathname : path;
    response.setHeader("content-type", `${TYPES[name.split(".").pop()] ?? "text/html"}; charset=utf-8`);
    response.end(file instanceof URL ? await readFile(file) : file);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
