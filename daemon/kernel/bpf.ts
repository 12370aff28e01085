/** BPF objects, and what can be done with them: part of the door that kernel.ts describes. */

/** An open BPF map. Closing twice is harmless; use after close throws EBADF. */
export interface BpfMap {
  readonly name: string;
  readonly id: number;
  readonly type: number; // BPF_MAP_TYPE_*
  readonly keySize: number;
  readonly valueSize: number; // of one CPU for per-CPU maps, unpadded
  readonly maxEntries: number;
  close(): void;
}
export interface BpfProgram {
  readonly name: string;
  readonly id: number;
  readonly tag: string; // hex
  close(): void;
}
export interface BpfLink {
  readonly id: number;
  readonly programId: number;
  /** 0 when the device is gone */
  readonly ifindex: number;
  close(): void;
}

export interface BpfObject {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, BpfProgram>;
}

export interface BpfLoadOptions {
  /** directory on a bpffs: maps found there by name are reused, others are pinned there. Absent: nothing is pinned. */
  readonly mapPinDir?: string;
  /** variables in .rodata, set before load */
  readonly constants?: Readonly<Record<string, number>>;
  /** override max_entries, by map name */
  readonly maxEntries?: Readonly<Record<string, number>>;
}

export interface TestRun {
  readonly data?: Uint8Array; // the frame
  readonly context?: Uint8Array; // struct __sk_buff, or the context of a SEC("syscall") program
  readonly repeat?: number;
  /** ifindex and friends are read from `context` */
}
export interface TestRunResult {
  readonly returnValue: number;
  readonly data: Uint8Array;
  readonly context: Uint8Array;
  readonly durationNs: number;
}

export interface MapWrite {
  readonly map: BpfMap;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface MapEntries {
  readonly count: number;
  /** count * keySize bytes */
  readonly keys: Uint8Array;
  /** count * valueSize bytes; per-CPU maps: count * cpus * round8(valueSize) */
  readonly values: Uint8Array;
}

export interface RingReader {
  /** records dropped because JavaScript did not keep up */
  readonly dropped: number;
  close(): Promise<void>;
}

/** Where a program or a filter of tc hangs on a link, whoever put it there. */
export type UsedHook = "XDP" | "tcx ingress" | "tc ingress" | "tcx egress" | "tc egress";

export interface Bpf {
  load(objectFile: string, options?: BpfLoadOptions): Promise<BpfObject>;
  openMap(pinPath: string): Promise<BpfMap>;
  openProgram(pinPath: string): Promise<BpfProgram>;
  openLink(pinPath: string): Promise<BpfLink>;
  pin(object: BpfMap | BpfProgram | BpfLink, path: string): Promise<void>;
  unpin(path: string): Promise<void>;
  /** tcx ingress (kernel >= 6.6), BPF_LINK_CREATE */
  attachTcx(program: BpfProgram, ifindex: number): Promise<BpfLink>;
  /** programs on the tcx ingress hook of a link, in order */
  queryTcx(ifindex: number): Promise<readonly { readonly programId: number; readonly linkId: number }[]>;
  usedHooks(ifindex: number): Promise<readonly UsedHook[]>;
  /** clsact + cls_bpf direct action. Replaces our filter, known by a handle of our own, in place; others' stay. */
  attachClsact(program: BpfProgram, ifindex: number): Promise<void>;
  /** ENOENT if there is none. Removing the qdisc as well costs the frames that are sent to the link in that moment. */
  detachClsact(ifindex: number, options?: { readonly keepQdisc: boolean }): Promise<void>;
  /** id of the program in our filter; 0 if there is none */
  queryClsact(ifindex: number): Promise<number>;
  /** Of these links, the ones whose ingress hook lacks the program, in one crossing. Links that are gone are not told. */
  linksWithout(hook: "tcx" | "clsact", program: BpfProgram, ifindexes: readonly number[]): Promise<readonly number[]>;
  /**
   * Takes the program off its hook now. Without it that happens some time after the last pin and descriptor have gone:
   * the kernel frees a link from a work queue (bpf_link_put).
   */
  detachLink(link: BpfLink): Promise<void>;
  updateLink(link: BpfLink, program: BpfProgram): Promise<void>;
  testRun(program: BpfProgram, run: TestRun): Promise<TestRunResult>;
  /** null when the key is absent. Per-CPU maps: cpus * round8(valueSize) bytes. */
  lookup(map: BpfMap, key: Uint8Array): Promise<Uint8Array | null>;
  update(map: BpfMap, key: Uint8Array, value: Uint8Array, flags?: number): Promise<void>;
  /** one entry in each of several maps, in this order and in one crossing; what comes after a failure is not written */
  updateEach(writes: readonly MapWrite[]): Promise<void>;
  /** false when the key was absent */
  remove(map: BpfMap, key: Uint8Array): Promise<boolean>;
  /** the whole map; falls back to get_next_key where the map type has no batch operation */
  readAll(map: BpfMap): Promise<MapEntries>;
  /** lookups of the given keys in one crossing: values[i] is null when absent */
  lookupMany(map: BpfMap, keys: Uint8Array): Promise<readonly (Uint8Array | null)[]>;
  updateMany(map: BpfMap, keys: Uint8Array, values: Uint8Array, flags?: number): Promise<void>;
  /** keys that are absent are passed over; returns how many were removed */
  removeMany(map: BpfMap, keys: Uint8Array): Promise<number>;
  /** calls back with batches of records; the returned object stops it */
  readRing(map: BpfMap, onRecords: (records: readonly Uint8Array[]) => void): Promise<RingReader>;
}
