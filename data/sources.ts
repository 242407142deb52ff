/**
 * What a dataset's sources have in common, wherever their files are; made by local_sources.ts and
 * hub_dataset.ts, opened by datasets.ts.
 */
import type { DataFile } from "./local_file.ts";
import type { FileKind, SplitFiles } from "./split_files.ts";

/** Files of one kind and the same columns. */
export interface FileSource {
  /** What to call it. */
  readonly name: string;
  readonly kind: FileKind;
  readonly splits: SplitFiles;
  /** The folder in which pictures are that files name by paths; absent where none are followed. */
  readonly folder?: string;
  /** Makes files readable, given by paths in `splits`. */
  files(paths: readonly string[]): Promise<DataFile[]>;
}

/** A source: files, or the built-in data. */
export type Source = FileSource | { readonly name: "shapes"; readonly kind: "shapes" };
