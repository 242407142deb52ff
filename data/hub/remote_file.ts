/**
 * A file as the Hub lists it, checked: nothing it says may lead out of the cache folder.
 *
 * Below listing.ts and cache.ts.
 */
import { HubError } from "./errors.ts";

/** A file of one commit. */
export interface RemoteFile {
  /** Relative to the repository, "/" between folders. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Git's name of the blob, or of the pointer to it: SHA-1, 40 hexadecimal digits. */
  readonly blobId: string;
  /** SHA-256 of the content, 64 hexadecimal digits, for large files (LFS). */
  readonly sha256?: string;
  /** Kept for Python, which can fetch large files another way by it. */
  readonly xetHash?: string;
}

/** The file's name among the blobs: the Hub's ETag for it. */
export function etagOf({ sha256, blobId }: RemoteFile): string {
  return sha256 ?? blobId;
}

/** Whether a path stays inside the folder it is appended to. */
export function isInside(path: string): boolean {
  return !/[\\\0]/.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);
}

/** Whether a text is a whole commit hash. */
export function isCommit(revision: unknown): revision is string {
  return isHex(revision, 40);
}

/** What a listing says about a file. */
export interface ListedFile {
  readonly path: unknown;
  readonly size: unknown;
  readonly blobId: unknown;
  readonly sha256?: unknown;
  readonly xetHash?: unknown;
}

/**
 * Checks a listing's entry.
 *
 * @throws {HubError} when its path leads elsewhere, or sizes or hashes are none
 */
export function remoteFile({ path, size, blobId, sha256, xetHash }: ListedFile): RemoteFile {
  if (typeof path !== "string" || !isInside(path)) {
    throw new HubError(
      `Cannot use the repository: found the path ${
        JSON.stringify(path)
      } in its listing, expected ` +
        `one that stays inside the repository`,
    );
  }
  if (
    typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || !isHex(blobId, 40) ||
    (sha256 !== undefined && !isHex(sha256, 64))
  ) {
    throw new HubError(
      `Cannot use the repository: found no proper size and hash of "${path}" in its listing, ` +
        `expected both`,
    );
  }
  return {
    path,
    size,
    blobId,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(isHex(xetHash, 64) ? { xetHash } : {}),
  };
}
