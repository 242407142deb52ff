/**
 * The reading half of the local stand-in for the Hub: info, tree, files and who asks.
 *
 * Large files are redirected to "http://localhost:PORT/cdn/…", another origin than 127.0.0.1, with
 * a signature that can run out; there a token is an error. Source: the Hub's API as huggingface_hub
 * and @huggingface/hub use it.
 */
import { createHash } from "node:crypto";
import type { Route } from "./server.ts";
import type { HubStore, RepositoryKind, StoredCommit, StoredRepository } from "./store.ts";

/** Files over this are large: LFS, served by the CDN. */
const LARGE_BYTES = 1024;
const LARGE_NAME = /\.(safetensors|parquet|bin)$/;

/** How the server differs from the usual one. */
export interface DownloadRouteOptions {
  /** Entries of a listing before it says where to go on. */
  entriesPerPage?: number;
  /** How often the CDN takes a signed address; always, without. */
  usesPerSignature?: number;
  /** Puts other things into a listing than there are. */
  listing?: (entries: TreeEntry[]) => TreeEntry[];
}

/** An entry of a listing, as the Hub writes it. */
export interface TreeEntry {
  type: "file" | "directory";
  path: string;
  size: number;
  oid: string;
  lfs?: { oid: string; size: number; pointerSize: number };
}

type Bytes = Uint8Array<ArrayBuffer>;

/** SHA-256 in hexadecimal digits. */
export function sha256(bytes: Bytes): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Git's name of a blob. */
export function gitBlobId(bytes: Bytes): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function isLarge(path: string, bytes: Bytes): boolean {
  return LARGE_NAME.test(path) || bytes.length > LARGE_BYTES;
}

/** What Git keeps in place of a large file. */
function pointer(bytes: Bytes): Bytes {
  return new TextEncoder().encode(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${
      sha256(bytes)
    }\nsize ${bytes.length}\n`,
  );
}

function fileEntry(path: string, bytes: Bytes): TreeEntry {
  const type = "file", size = bytes.length;
  if (!isLarge(path, bytes)) return { type, path, size, oid: gitBlobId(bytes) };
  const pointed = pointer(bytes);
  const lfs = { oid: sha256(bytes), size, pointerSize: pointed.length };
  return { type, path, size, oid: gitBlobId(pointed), lfs };
}

function treeEntries({ files }: StoredCommit, below: string, recursive: boolean): TreeEntry[] {
  const entries: TreeEntry[] = [];
  const folders = new Set<string>();
  for (const [path, bytes] of files) {
    if (!path.startsWith(below)) continue;
    const parts = path.slice(below.length).split("/");
    for (let depth = 1; depth < (recursive ? parts.length : Math.min(2, parts.length)); depth++) {
      folders.add(below + parts.slice(0, depth).join("/"));
    }
    if (recursive || parts.length === 1) entries.push(fileEntry(path, bytes));
  }
  for (const path of folders) {
    entries.push({ type: "directory", path, size: 0, oid: gitBlobId(new Uint8Array()) });
  }
  return entries.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** An error in the Hub's form: a code and a text in headers. */
export function refuse(status: number, code: string, text: string): Response {
  const headers: Record<string, string> = { "X-Error-Message": text };
  if (code) headers["X-Error-Code"] = code;
  return Response.json({ error: text }, { status, headers });
}

/** Bytes or the part of them that was asked for. */
export function ranged(request: Request, bytes: Bytes, headers: Headers): Response {
  headers.set("Accept-Ranges", "bytes");
  const [, first, last] = request.headers.get("Range")?.match(/^bytes=(\d+)-(\d*)$/) ?? [];
  if (first === undefined) {
    headers.set("Content-Length", String(bytes.length));
    return new Response(request.method === "HEAD" ? null : bytes, { headers });
  }
  const start = Number(first);
  const end = last ? Math.min(Number(last) + 1, bytes.length) : bytes.length;
  if (start >= end) {
    headers.set("Content-Range", `bytes */${bytes.length}`);
    return new Response(null, { status: 416, headers });
  }
  headers.set("Content-Range", `bytes ${start}-${end - 1}/${bytes.length}`);
  return new Response(bytes.slice(start, end), { status: 206, headers });
}

/** Why a request may not see a repository, if it may not. */
function refusal(
  request: Request,
  store: HubStore,
  { repository, isContent }: { repository: StoredRepository | undefined; isContent: boolean },
): Response | undefined {
  const given = request.headers.get("Authorization");
  if (given !== null && given !== `Bearer ${store.token}`) {
    return refuse(401, "", "Invalid credentials in Authorization header");
  }
  if (!repository || (repository.isPrivate && given === null)) {
    return refuse(given === null ? 401 : 404, "RepoNotFound", "Repository not found");
  }
  if (isContent && repository.isGated && given === null) {
    return refuse(401, "GatedRepo", "Access to this repository is restricted.");
  }
  return undefined;
}

function info(repository: StoredRepository, commit: StoredCommit): Response {
  return Response.json({
    _id: "0123456789abcdef01234567",
    id: repository.name,
    sha: commit.oid,
    private: repository.isPrivate,
    gated: repository.isGated && "manual",
    cardData: repository.card,
    siblings: [...commit.files.keys()].map((rfilename) => ({ rfilename })),
    lastModified: "2025-01-01T00:00:00.000Z",
    downloads: 0,
    likes: 0,
    tags: [],
  });
}

/** Answers what reading needs. */
export function createDownloadRoute(options: DownloadRouteOptions = {}): Route {
  const { entriesPerPage = 10, usesPerSignature = Infinity } = options;
  const uses = new Map<string, number>();

  function tree(url: URL, commit: StoredCommit, path: string): Response {
    const below = path === "" ? "" : `${path}/`;
    const all = treeEntries(commit, below, url.searchParams.get("recursive") === "true");
    if (below !== "" && all.length === 0) return refuse(404, "EntryNotFound", "No such folder");
    const entries = options.listing?.(all) ?? all;
    const start = Number(url.searchParams.get("cursor") ?? 0);
    const next = start + entriesPerPage;
    const headers = new Headers();
    if (next < entries.length) {
      const target = new URL(url);
      target.searchParams.set("cursor", String(next));
      headers.set("Link", `<${target}>; rel="next"`);
    }
    return Response.json(entries.slice(start, next), { headers });
  }

  function content(request: Request, url: URL, found: Found): Response {
    const { repository, commit, path } = found;
    const bytes = commit.files.get(path);
    const headers = new Headers({ "X-Repo-Commit": commit.oid });
    if (!bytes) {
      const response = refuse(404, "EntryNotFound", "Entry not found");
      response.headers.set("X-Repo-Commit", commit.oid);
      return response;
    }
    if (!isLarge(path, bytes)) {
      headers.set("ETag", `"${gitBlobId(bytes)}"`);
      return ranged(request, bytes, headers);
    }
    const signature = crypto.randomUUID();
    uses.set(signature, 0);
    headers.set("X-Linked-Etag", `"${sha256(bytes)}"`);
    headers.set("X-Linked-Size", String(bytes.length));
    const place = `${repository.kind}/${repository.name}/${commit.oid}/${path}`;
    const target = new URL(`http://localhost:${url.port}/cdn/${place}`);
    target.search = `Signature=${signature}`;
    headers.set("Location", target.href);
    return new Response(null, { status: 302, headers });
  }

  function cdn(request: Request, url: URL, store: HubStore): Response {
    if (request.headers.has("Authorization")) return new Response("one only", { status: 400 });
    const signature = url.searchParams.get("Signature") ?? "";
    const used = uses.get(signature);
    if (used === undefined || used >= usesPerSignature) {
      return new Response("Request has expired", { status: 403 });
    }
    uses.set(signature, used + 1);
    const [, kind, name = "", oid = "", path = ""] =
      decodeURIComponent(url.pathname).match(/^\/cdn\/(\w+)\/([^/]+\/[^/]+)\/(\w+)\/(.+)$/) ?? [];
    const repository = store.find(kind as RepositoryKind, name);
    const bytes = repository && store.resolve(repository, oid)?.files.get(path);
    if (!bytes) return new Response("no such object", { status: 404 });
    return ranged(request, bytes, new Headers({ ETag: `"${sha256(bytes).slice(0, 32)}"` }));
  }

  return (request, store) => {
    if (request.method !== "GET" && request.method !== "HEAD") return Promise.resolve(undefined);
    const url = new URL(request.url);
    if (url.pathname.startsWith("/cdn/")) return Promise.resolve(cdn(request, url, store));
    if (url.pathname === "/api/whoami-v2") return Promise.resolve(whoAmI(request, store));
    const asked = parse(url.pathname);
    if (!asked) return Promise.resolve(undefined);
    const { kind, name, action, revision, path } = asked;
    const repository = store.find(kind, name);
    const isContent = action === "resolve";
    const refused = refusal(request, store, { repository, isContent });
    if (refused || !repository) return Promise.resolve(refused);
    const commit = store.resolve(repository, revision === "HEAD" ? "main" : revision);
    if (!commit) return Promise.resolve(refuse(404, "RevisionNotFound", "Invalid rev id"));
    if (action === "tree") return Promise.resolve(tree(url, commit, path));
    if (action === "resolve") {
      return Promise.resolve(content(request, url, { repository, commit, path }));
    }
    return Promise.resolve(info(repository, commit));
  };
}

interface Found {
  repository: StoredRepository;
  commit: StoredCommit;
  path: string;
}

function whoAmI(request: Request, store: HubStore): Response {
  if (request.headers.get("Authorization") !== `Bearer ${store.token}`) {
    return refuse(401, "", "Invalid credentials in Authorization header");
  }
  const auth = { type: "access_token", accessToken: { displayName: "test", role: "write" } };
  return Response.json({ type: "user", id: "1", name: "tester", fullname: "T", orgs: [], auth });
}

/** Which repository, what of it. */
function parse(pathname: string) {
  const api = pathname.match(
    /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+)(?:\/(.*))?)?$/,
  );
  const file = pathname.match(/^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/);
  if (!api && !file) return undefined;
  const [kind, name, action, revision, path] = api
    ? [api[1], api[2], api[3] ?? "revision", api[4] ?? "main", api[5] ?? ""]
    : [file?.[1] ? "dataset" : "model", file?.[2], "resolve", file?.[3], file?.[4]];
  return {
    kind: kind as RepositoryKind,
    name: decodeURIComponent(name ?? ""),
    action,
    revision: decodeURIComponent(revision ?? ""),
    path: decodeURIComponent(path ?? ""),
  };
}

/** The usual server. */
export const downloadRoute: Route = createDownloadRoute();
