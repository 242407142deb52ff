// Command line arguments, under the names of `jsr:@std/cli`. Our own stand-in, see ../README.md.
export * from "./parse_args.ts";
