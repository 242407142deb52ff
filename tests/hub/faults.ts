/**
 * Bad networks for the local stand-in for the Hub: routes whose answers come to harm on their way.
 */
import type { Route } from "./server.ts";

/** Harms an answer. */
export type Harm = (response: Response, request: Request) => Response | Promise<Response>;

/** Which answers are harmed. */
export interface FaultOptions {
  /** Which requests; those to the CDN without. */
  on?: (request: Request, url: URL) => boolean;
  /** How many of them, the first ones; all without. */
  times?: number;
}

/** A route whose answers are harmed, and how often they were. */
export interface FaultyRoute {
  readonly route: Route;
  readonly harmed: number;
}

/** Requests for contents at the CDN. */
export function toCdn(_request: Request, url: URL): boolean {
  return url.pathname.startsWith("/cdn/");
}

/** Requests to the Hub's API. */
export function toApi(_request: Request, url: URL): boolean {
  return url.pathname.startsWith("/api/");
}

/** Puts a harm between a route and who asks. */
export function faulty(
  route: Route,
  harm: Harm,
  { on = toCdn, times = Infinity }: FaultOptions = {},
): FaultyRoute {
  let harmed = 0;
  return {
    get harmed() {
      return harmed;
    },
    route: async (request, store) => {
      const response = await route(request, store);
      if (!response || harmed >= times || !on(request, new URL(request.url))) return response;
      harmed++;
      return await harm(response, request);
    },
  };
}

async function bytesOf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await response.arrayBuffer());
}

/** Sends some bytes, then what `next` does. */
function streamed(
  { status, headers }: Response,
  bytes: Uint8Array<ArrayBuffer>,
  next: (controller: ReadableStreamDefaultController) => void | Promise<void>,
): Response {
  let isFirst = bytes.length > 0;
  const body = new ReadableStream({
    pull(controller) {
      if (!isFirst) return next(controller);
      isFirst = false;
      controller.enqueue(bytes);
    },
  });
  return new Response(body, { status, headers });
}

/** The connection breaks after some bytes. */
export function cutAfter(count: number): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    response.headers.set("Content-Length", String(bytes.length));
    return streamed(response, bytes.slice(0, count), async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, 2)); // lets the bytes get through
      controller.error(new Error("cut"));
    });
  };
}

/** A body that ends too early, as if that were all. */
export function truncatedTo(count: number): Harm {
  return async (response) => {
    const bytes = (await bytesOf(response)).slice(0, count);
    response.headers.delete("Content-Length");
    return streamed(response, bytes, (controller) => controller.close());
  };
}

/** A byte is another. */
export function corruptedAt(position: number): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    bytes[position % bytes.length]! ^= 0x20;
    return new Response(bytes, { status: response.status, headers: response.headers });
  };
}

/** A status instead of the answer. */
export function statusOf(status: number, headers: Record<string, string> = {}): Harm {
  return async (response) => {
    await response.body?.cancel();
    return new Response("busy", { status, headers });
  };
}

/** A redirect to the same place. */
export function redirectedTo(target: (url: URL) => string): Harm {
  return async (response, request) => {
    await response.body?.cancel();
    return new Response(null, {
      status: 302,
      headers: { Location: target(new URL(request.url)) },
    });
  };
}

/** A header says something else than the body is. */
export function withHeader(name: string, value: string): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    response.headers.set(name, value);
    return streamed(response, bytes, (controller) => controller.close());
  };
}

/** Ranges are ignored: always the whole file. */
export function withoutRanges(whole: Uint8Array<ArrayBuffer>): Harm {
  return async (response) => {
    await response.body?.cancel();
    return new Response(whole, { status: 200 });
  };
}

/** The body packed, though nobody asked for it: after a range was cut out of it, or before. */
export function packed(format: CompressionFormat, isRangeOfPacked: boolean = false): Harm {
  const pack = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(
      await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream(format)))
        .arrayBuffer(),
    );
  return async (response) => {
    const { status, headers } = response;
    headers.set("Content-Encoding", format === "brotli" ? "br" : format);
    headers.delete("Content-Length");
    let body = await pack(await bytesOf(response));
    const [, first] = /^bytes (\d+)-/.exec(headers.get("Content-Range") ?? "") ?? [];
    if (isRangeOfPacked && first !== undefined) {
      headers.set("Content-Range", `bytes ${first}-${body.length}/${body.length + 1}`);
      body = body.slice(Number(first) % body.length);
    }
    return new Response(body, { status, headers });
  };
}

/** Where connections are taken and closed again without a word. */
export function breakingPort(): { port: number } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const connection of listener) connection.close();
  })();
  closing.catch(() => {});
  return { port: listener.addr.port, [Symbol.dispose]: () => listener.close() };
}

/** More bytes than there should be, without an end. */
export function endless(): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    response.headers.delete("Content-Length");
    const more = new Uint8Array(16384);
    return streamed(response, bytes, async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      controller.enqueue(more);
    });
  };
}

/** Some bytes, then silence. */
export function stalledAfter(count: number): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    return streamed(response, bytes.slice(0, count), () => new Promise(() => {}));
  };
}

/** The whole body, but in small pieces with pauses. */
export function slowly(pieceBytes: number, milliseconds: number): Harm {
  return async (response) => {
    const bytes = await bytesOf(response);
    let sent = 0;
    return streamed(response, new Uint8Array(), async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      controller.enqueue(bytes.slice(sent, sent += pieceBytes));
      if (sent >= bytes.length) controller.close();
    });
  };
}

/** Something else altogether, as a hotel's network sends it. */
export function replacedBy(text: string): Harm {
  return async (response) => {
    await response.body?.cancel();
    return new Response(text, { headers: { "Content-Type": "text/html" } });
  };
}
