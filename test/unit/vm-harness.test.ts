// The pure parts of the VM suite's harness: which kernel is the newest, and what the kernel unpacks as its first root.
import test from "ava";
import { CHARACTER_DEVICE, cpio, DIRECTORY, FILE } from "../vm/cpio.mjs";
import { newest, SERIES } from "../vm/kernels.mjs";

const packages = (name: string): RegExp => SERIES.find((series) => series.name === name)?.packages ?? /$./;

test("the newest package of a series is found by number, not by letter", (t) => {
  const names = ["linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-48-amd64"];
  t.is(newest(names, packages("6.1")), "linux-image-6.1.0-56-amd64");
  const younger = ["linux-image-6.12.99+deb12-amd64", "linux-image-6.12.117+deb12-amd64"];
  t.is(newest([...names, ...younger], packages("6.12")), "linux-image-6.12.117+deb12-amd64");
});

test("kernels for clouds and for real time, unsigned ones, debug symbols and other series are passed over", (t) => {
  const others = [
    "linux-image-6.1.0-56-cloud-amd64",
    "linux-image-6.1.0-56-rt-amd64",
    "linux-image-6.1.0-56-amd64-unsigned",
    "linux-image-6.1.0-56-amd64-dbg",
    "linux-image-6.10.0-1-amd64",
    "linux-image-amd64",
  ];
  t.is(newest(others, packages("6.1")), undefined);
  t.is(newest(others, packages("6.12")), undefined);
});

interface Record {
  readonly name: string;
  readonly mode: number;
  readonly device: readonly number[];
  readonly data: string;
}

/** buffer-format.rst of the kernel, read the other way */
function unpack(archive: Buffer): Record[] {
  const records: Record[] = [];
  for (let at = 0; at < archive.length; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString("ascii", at + 6 + 8 * index, at + 14 + 8 * index), 16);
    if (archive.toString("ascii", at, at + 6) !== "070701") throw new Error(`no record at ${at}`);
    const name = archive.toString("utf8", at + 110, at + 110 + field(11) - 1);
    const start = (at + 110 + field(11) + 3) & ~3;
    const data = archive.toString("utf8", start, start + field(6));
    records.push({ name, mode: field(1), device: [field(9), field(10)], data });
    at = (start + field(6) + 3) & ~3;
  }
  return records;
}

test("an archive holds each entry whole, at the alignment that the kernel wants, and a trailer", (t) => {
  const entries = [
    { name: "dev", mode: DIRECTORY },
    { name: "dev/console", mode: CHARACTER_DEVICE, device: [5, 1] as const },
    ...["", "a", "ab", "abc", "abcd"].map((data) => ({ name: `f${data}`, mode: FILE, data })),
  ];
  t.deepEqual(
    unpack(cpio(entries)),
    [...entries, { name: "TRAILER!!!", mode: 0 }].map((entry) => ({ data: "", device: [0, 0], ...entry })),
  );
});
