/**
 * What a user writes to name datasets, taken apart: sources joined by commas, each of them a path, a
 * glob, a dataset on the Hub with its configurations, or "shapes". Read by datasets.ts. Ours.
 */
import { parseRepositoryName } from "./hub.ts";
import { nearest } from "./record_fields.ts";
import { kindOf, KNOWN_KINDS } from "./split_files.ts";

/** One source. */
export type SourceSpec =
  | { readonly kind: "shapes" }
  /** A file or folder. */
  | { readonly kind: "path"; readonly path: string }
  /** Files by a pattern. */
  | { readonly kind: "glob"; readonly pattern: string }
  /** Subfolders of a folder; "all" is all of them. */
  | { readonly kind: "folders"; readonly path: string; readonly configs: readonly string[] }
  /** A dataset on the Hub; no configuration is the only one or the default, "all" is all. */
  | {
    readonly kind: "hub";
    readonly name: string;
    readonly revision?: string;
    readonly configs: readonly string[];
  };

const GLOB = /[*?[\]{}]/;

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    // Names that no file can have are no error: "NotADirectory", a NUL character, a name too long.
    if (error instanceof Deno.errors.PermissionDenied) throw error;
    return false;
  }
}

function isFolder(path: string): boolean {
  return exists(path) && Deno.statSync(path).isDirectory;
}

/** Whether a piece can be one more configuration of the source before it. */
function isConfig(piece: string): boolean {
  return piece !== "shapes" && !/[/\\:]/.test(piece) && !GLOB.test(piece) &&
    kindOf(piece) === undefined && !exists(piece);
}

/** "owner/name:config", "owner/name@revision:config", "folder:config". */
function parseConfigured(piece: string): SourceSpec | undefined {
  const colon = piece.lastIndexOf(":");
  const before = piece.slice(0, colon).trim();
  const config = piece.slice(colon + 1).trim();
  if (colon < 0 || config === "" || /[/\\]/.test(config)) return undefined;
  if (isFolder(before)) return { kind: "folders", path: before, configs: [config] };
  const repository = parseRepositoryName(before);
  return repository && { kind: "hub", ...repository, configs: [config] };
}

/** Whether a name that is nothing here can only be meant as one on this machine. */
function isLocal(piece: string): boolean {
  const [folder = ""] = piece.split("/", 1);
  return /^[.~/]|\\|^[a-z]:/i.test(piece) || kindOf(piece) !== undefined ||
    piece.includes("/") && !/[@:]/.test(piece) && isFolder(folder);
}

/** What there is where a path leads as far as it can, that may have been meant. */
function nearPath(piece: string): string | undefined {
  const names = piece.replaceAll("\\", "/").split("/");
  const depth = names.findIndex((_, at) => !exists(names.slice(0, at + 1).join("/") || "/"));
  const folder = names.slice(0, depth).join("/");
  const wanted = names[depth] ?? "";
  if (wanted === "" || folder !== "" && !isFolder(folder)) return undefined;
  const there = [...Deno.readDirSync(folder || (piece.startsWith("/") ? "/" : "."))]
    .map(({ name }) => name).sort();
  const [stem = ""] = wanted.split(".", 1);
  const found = nearest(wanted, there) ??
    there.find((name) => stem.length > 1 && (name.startsWith(stem) || stem.startsWith(name)));
  return found && [...names.slice(0, depth), found].join("/");
}

function parsePiece(piece: string): SourceSpec {
  if (piece === "shapes") return { kind: "shapes" };
  if (exists(piece)) return { kind: "path", path: piece };
  if (GLOB.test(piece)) return { kind: "glob", pattern: piece };
  const configured = parseConfigured(piece);
  if (configured) return configured;
  const repository = isLocal(piece) ? undefined : parseRepositoryName(piece);
  if (repository) return { kind: "hub", ...repository, configs: [] };
  const near = nearPath(piece);
  throw new Error(
    `Cannot open dataset "${piece}": found no such file or folder, expected "shapes", a ` +
      `${KNOWN_KINDS} file, a folder or a pattern of them, or a dataset on the Hugging Face ` +
      `Hub such as "HuggingFaceM4/the_cauldron:ai2d". ` +
      (near === undefined ? "Check the path." : `Did you mean "${near}"?`) +
      (parseRepositoryName(piece) ? ` Write "${piece}@main" for one on the Hub.` : ""),
  );
}

/**
 * Takes the name of datasets apart. A text that is a path as a whole is that path. Behind a piece
 * with a configuration, pieces that can be nothing else are further configurations.
 *
 * @throws {Error} when a piece is nothing that is known
 */
export function parseDatasetSpec(text: string): SourceSpec[] {
  if (text !== "" && exists(text)) return [{ kind: "path", path: text }];
  const specs: SourceSpec[] = [];
  for (const piece of text.split(/,(?![^{}]*\})/).map((part) => part.trim())) {
    if (piece === "") {
      throw new Error(
        `Cannot open dataset "${text}": found an empty name, expected names joined by single commas`,
      );
    }
    const last = specs.at(-1);
    const takesMore = last && "configs" in last && last.configs.length > 0;
    if (takesMore && isConfig(piece)) {
      specs[specs.length - 1] = { ...last, configs: [...last.configs, piece] };
    } else {
      specs.push(parsePiece(piece));
    }
  }
  return specs;
}
