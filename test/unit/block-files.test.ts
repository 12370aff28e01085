// Records that are overwritten in place: whole at every moment, and never more files than there are records and spares.
import test, { type ExecutionContext } from "ava";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlockFiles } from "../../daemon/state/block-files.ts";

const BLOCK = 4096;

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "pw-blocks-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}
const inodeOf = (path: string, name: string): number => statSync(join(path, name)).ino;

test("a change overwrites the file in place, at its one size", (t) => {
  const path = directory(t);
  const files = new BlockFiles(path);
  files.write("a.json", "the first, which is long");
  const inode = inodeOf(path, "a.json");
  files.write("a.json", "second");
  t.is(files.read("a.json").trimEnd(), "second");
  t.is(statSync(join(path, "a.json")).size, BLOCK);
  t.is(inodeOf(path, "a.json"), inode);
});

test("after a start, files of one block are known again, and older ones without blanks are replaced whole", (t) => {
  const path = directory(t);
  new BlockFiles(path).write("a.json", "one");
  const inode = inodeOf(path, "a.json");
  const files = new BlockFiles(path);
  t.is(files.read("a.json").trimEnd(), "one");
  files.write("a.json", "two");
  t.is(inodeOf(path, "a.json"), inode);

  files.write("b.json", "x".repeat(BLOCK + 1));
  files.write("b.json", "short");
  t.is(files.read("b.json").trimEnd(), "short");
  files.write("b.json", "y".repeat(BLOCK + 1));
  t.is(files.read("b.json"), "y".repeat(BLOCK + 1));
});

test("text of several bytes a character fits or does not by its bytes", (t) => {
  const files = new BlockFiles(directory(t));
  for (const length of [BLOCK / 2, BLOCK / 2 + 1]) {
    files.write("a.json", "ä".repeat(length));
    t.is(files.read("a.json").trimEnd(), "ä".repeat(length));
  }
});

test("a removed file is used again for the next record, and is gone after a start", (t) => {
  const path = directory(t);
  const files = new BlockFiles(path);
  files.write("a.json", "of a, and longer than the next");
  const inode = inodeOf(path, "a.json");
  files.remove("a.json");
  t.deepEqual(files.names(), []);
  files.write("b.json", "of b");
  t.is(inodeOf(path, "b.json"), inode);
  t.is(readFileSync(join(path, "b.json"), "utf8").trimEnd(), "of b");
  files.remove("b.json");
  files.remove("b.json");
  t.deepEqual(new BlockFiles(path).names(), []);
  t.deepEqual(readdirSync(path), []);
});

test("only so many removed files wait", (t) => {
  const path = directory(t);
  const files = new BlockFiles(path);
  const names = Array.from({ length: 40 }, (_, i) => `${i}.json`);
  for (const name of names) files.write(name, name);
  for (const name of names) files.remove(name);
  t.is(readdirSync(path).length, 16);
});

test("a file that somebody removed is made anew; so is one from a spare that is gone", (t) => {
  const path = directory(t);
  const files = new BlockFiles(path);
  files.write("a.json", "one");
  unlinkSync(join(path, "a.json"));
  files.write("a.json", "two");
  t.is(files.read("a.json").trimEnd(), "two");
  files.remove("a.json");
  for (const name of readdirSync(path)) unlinkSync(join(path, name));
  files.write("b.json", "three");
  t.is(files.read("b.json").trimEnd(), "three");
  t.deepEqual(readdirSync(path), ["b.json"]);
});

test("a directory that is gone is a coded error", (t) => {
  const path = directory(t);
  const files = new BlockFiles(join(path, "gone"));
  files.write("a.json", "one");
  rmSync(join(path, "gone"), { recursive: true });
  t.throws(() => files.write("a.json", "two"), { code: "STATE_IO" } as never);
  t.notThrows(() => files.remove("a.json"));
});
