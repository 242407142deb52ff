/**
 * A local server that speaks the Hugging Face Hub's API, for tests: HF_ENDPOINT is its address.
 *
 * The routes stand in files of their own; a request that none answers gets 404.
 */
import type { HubStore } from "./store.ts";

/** Answers a request, or leaves it to the next route. */
export type Route = (request: Request, store: HubStore) => Promise<Response | undefined>;

/** A request that came in, as tests look at it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
}

/** A running server. Stop it, or declare it with `await using`. */
export interface HubServer extends AsyncDisposable {
  /** "http://127.0.0.1:PORT", without a slash at the end. */
  readonly endpoint: string;
  readonly seen: SeenRequest[];
}

/** Starts a server on a free port. */
export function startHub(store: HubStore, routes: readonly Route[]): HubServer {
  const seen: SeenRequest[] = [];
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      onError: (error) => {
        // faults.ts breaks connections by this error.
        if (!(error instanceof Error && error.message === "cut")) console.error(error);
        return new Response(null, { status: 500 });
      },
    },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      seen.push({ method: request.method, path: pathname + search, headers: request.headers });
      for (const route of routes) {
        const response = await route(request, store);
        if (response) return response;
      }
      await request.body?.cancel();
      return Response.json({ error: "Not found" }, { status: 404 });
    },
  );
  return {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
