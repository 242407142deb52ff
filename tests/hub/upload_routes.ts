/**
 * What the Hub answers to an upload: making a repository, asking which files are large, permission to send those, the
 * storage that takes them (another origin, in one piece or in parts), and the commit.
 *
 * Source: the Hub's API as @huggingface/hub and Python's huggingface_hub call it; Git LFS's batch API.
 */
import type { Route } from "./server.ts";
import type { HubStore, StoredRepository } from "./store.ts";

/** Files from this size on are large, and sent in parts from the second size on. */
const LARGE_BYTES = 4096;
const PARTS_BYTES = 256 * 1024;
const PART_BYTES = 100 * 1024;

/** Objects in the storage, and their parts, by SHA-256. */
interface Storage {
  readonly objects: Map<string, Uint8Array<ArrayBuffer>>;
  readonly parts: Map<string, Map<number, Uint8Array<ArrayBuffer>>>;
}

const storages = new WeakMap<HubStore, Storage>();

function storageOf(store: HubStore): Storage {
  const storage = storages.get(store) ?? { objects: new Map(), parts: new Map() };
  storages.set(store, storage);
  return storage;
}

function refusal(status: number, error: string): Response {
  return Response.json({ error }, { status });
}

/** The storage's address: the same server under another name, so another origin. */
function storageOrigin(url: URL): string {
  return `http://localhost:${url.port}`;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Who the token belongs to. */
const WHO = {
  type: "user",
  name: "me",
  orgs: [{ type: "org", name: "friends", roleInOrg: "write" }, {
    ...{ type: "org", name: "readers", roleInOrg: "read" },
  }],
  auth: { type: "access_token", accessToken: { displayName: "test", role: "write" } },
};

/** Answers everything that an upload asks. Owners called "others" may not be written to. */
export const uploadRoute: Route = async (request, store) => {
  const url = new URL(request.url);
  if (url.pathname.startsWith("/storage/")) return await storageAnswer(request, url, store);
  const [, name = "", call = ""] =
    /^\/(?:api\/models\/)?([^/]+\/[^/]+?)(\/preupload\/main|\/commit\/main|\/revision\/HEAD|\.git\/info\/lfs\/objects\/batch)$/
      .exec(url.pathname) ?? [];
  const isComplete = url.pathname === "/api/complete_multipart";
  const isCreate = url.pathname === "/api/repos/create";
  const isWhoAmI = url.pathname === "/api/whoami-v2";
  if (!isCreate && !isComplete && !isWhoAmI && call === "") return undefined;
  if (call === "/revision/HEAD") return infoAnswer(store, name);
  const body = await request.text();
  if (isComplete) return await completeAnswer(url, JSON.parse(body), store);
  if (request.headers.get("Authorization") !== `Bearer ${store.token}`) {
    return refusal(401, "Invalid username or password.");
  }
  if (isWhoAmI) return Response.json(WHO);
  if (isCreate) return createAnswer(JSON.parse(body), url, store);
  const repository = store.find("model", name);
  if (!repository) return refusal(404, "Repository not found");
  if (call.startsWith("/preupload")) return preuploadAnswer(JSON.parse(body));
  if (call.startsWith("/commit")) return commitAnswer(body, { repository, store, url });
  return batchAnswer(JSON.parse(body), url, store);
};

function infoAnswer(store: HubStore, name: string): Response {
  const repository = store.find("model", name);
  if (!repository) return refusal(404, "Repository not found");
  return Response.json({ _id: "1", id: name, private: repository.isPrivate });
}

function createAnswer(
  { name, organization, type, visibility }: Record<string, string>,
  url: URL,
  store: HubStore,
): Response {
  if (type !== "model") return refusal(400, `Unknown type "${type}"`);
  const full = `${organization}/${name}`;
  if (organization === "others") {
    return refusal(403, `You don't have the rights to create a model under "${organization}"`);
  }
  if (store.find("model", full)) return refusal(409, "You already created this model repo");
  store.addRepository({
    kind: "model",
    name: full,
    isPrivate: visibility === "private",
    files: { ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n" },
  });
  return Response.json({ url: `${url.origin}/${full}`, id: full, name: full });
}

function preuploadAnswer(
  { files }: { files: { path: string; size: number; sample: string }[] },
): Response {
  return Response.json({
    files: files.map(({ path, size }) => ({
      path,
      uploadMode: size >= LARGE_BYTES || path.endsWith(".safetensors") ? "lfs" : "regular",
    })),
  });
}

interface Batch {
  readonly operation: string;
  readonly transfers: string[];
  readonly objects: { oid: string; size: number }[];
}

function batchAnswer({ operation, transfers, objects }: Batch, url: URL, store: HubStore) {
  if (operation !== "upload" || !transfers.includes("multipart")) return refusal(400, "bad batch");
  const { objects: stored } = storageOf(store);
  const origin = storageOrigin(url);
  return Response.json({
    transfer: "basic",
    objects: objects.map(({ oid, size }) => {
      if (stored.has(oid)) return { oid, size };
      const href = `${origin}/storage/${oid}?X-Amz-Signature=secret`;
      if (size < PARTS_BYTES) return { oid, size, actions: { upload: { href } } };
      const count = Math.ceil(size / PART_BYTES);
      const numbers = Array.from({ length: count }, (_, i) => String(i + 1).padStart(5, "0"));
      const parts = numbers.map((part) => [part, `${href}&partNumber=${Number(part)}`]);
      const header = { chunk_size: String(PART_BYTES), ...Object.fromEntries(parts) };
      return {
        oid,
        size,
        actions: { upload: { href: `${url.origin}/api/complete_multipart?oid=${oid}`, header } },
      };
    }),
  });
}

/** Takes one file or one part, of the announced length, from a sender who keeps the Hub's token to himself. */
async function storageAnswer(request: Request, url: URL, store: HubStore): Promise<Response> {
  const buffer = await request.arrayBuffer().catch(() => undefined);
  if (buffer === undefined) return new Response("<Error/>", { status: 400 }); // the sender went away
  const bytes = new Uint8Array(buffer);
  const isForStorage = url.hostname === "localhost" && !request.headers.has("Authorization");
  const isWhole = request.headers.get("Content-Length") === String(bytes.length);
  if (request.method !== "PUT" || !isForStorage || !isWhole) {
    return new Response("<Error/>", { status: 400 });
  }
  const oid = url.pathname.slice("/storage/".length);
  const { objects, parts } = storageOf(store);
  const part = Number(url.searchParams.get("partNumber") ?? 0);
  if (part > 0) {
    parts.set(oid, (parts.get(oid) ?? new Map()).set(part, bytes));
  } else if (await sha256(bytes) === oid) objects.set(oid, bytes);
  else return new Response("<Error/>", { status: 403 });
  return new Response(null, { headers: { ETag: `"${oid.slice(0, 8)}-${part}"` } });
}

interface Completion {
  readonly oid: string;
  readonly parts: { partNumber: number; etag: string }[];
}

async function completeAnswer(url: URL, body: Completion, store: HubStore): Promise<Response> {
  const { oid, parts } = body;
  const { objects, parts: stored } = storageOf(store);
  const pieces = parts.map(({ partNumber }) => stored.get(oid)?.get(partNumber));
  const isNamed = parts.every(({ partNumber, etag }) =>
    etag === `"${oid.slice(0, 8)}-${partNumber}"`
  );
  if (!isNamed || url.searchParams.get("oid") !== oid || pieces.includes(undefined)) {
    return refusal(400, "unknown part");
  }
  const blob = new Blob(pieces.flatMap((piece) => piece ?? []));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (await sha256(bytes) !== oid) return refusal(400, "wrong SHA-256");
  objects.set(oid, bytes);
  return Response.json({});
}

interface CommitPlace {
  readonly repository: StoredRepository;
  readonly store: HubStore;
  readonly url: URL;
}

/** Commits files of which the large ones must have arrived, with the size that is claimed. */
function commitAnswer(body: string, { repository, store, url }: CommitPlace): Response {
  const lines = body.split("\n").map((line) => JSON.parse(line));
  const [{ key, value: header }, ...entries] = lines;
  if (key !== "header" || !header.summary) return refusal(400, "no summary");
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  for (const { key, value } of entries) {
    const bytes = key === "file"
      ? Uint8Array.fromBase64(value.content)
      : storageOf(store).objects.get(value.oid);
    const isLarge = key === "lfsFile" && value.algo === "sha256" && bytes?.length === value.size;
    if (!bytes || key !== "file" && !isLarge) return refusal(400, `"${value.path}" is not here`);
    files[value.path] = bytes;
  }
  const { oid } = store.commit(repository, header.summary, files);
  return Response.json({
    success: true,
    commitOid: oid,
    commitUrl: `${url.origin}/${repository.name}/commit/${oid}`,
    hookOutput: "",
  });
}
