/** BPF over the addon: typed handles, and nothing more. What the calls do is in native/addon/bpf_*.cc. */
import type {
  Bpf,
  BpfLink,
  BpfLoadOptions,
  BpfMap,
  BpfObject,
  BpfProgram,
  MapEntries,
  MapWrite,
  RingReader,
  TestRun,
  TestRunResult,
  UsedHook,
} from "./bpf.ts";
import { ignoreClosed, native } from "./native-error.ts";

/** The object that the addon's enter() gives. */
export type NativeNamespace = object;

interface MapHandle extends Omit<BpfMap, "close"> {}
interface ProgramHandle extends Omit<BpfProgram, "close"> {}
interface LinkHandle extends Omit<BpfLink, "close"> {}
type Handle = MapHandle | ProgramHandle | LinkHandle;
type RingHandle = object;

/** The functions of native/addon/bpf_bind.cc and bpf_bind_map.cc. */
export interface BpfAddon {
  bpfLoad(
    ns: NativeNamespace,
    file: string,
    options: BpfLoadOptions,
  ): Promise<{ maps: MapHandle[]; programs: ProgramHandle[] }>;
  bpfOpenMap(ns: NativeNamespace, path: string): Promise<MapHandle>;
  bpfOpenProgram(ns: NativeNamespace, path: string): Promise<ProgramHandle>;
  bpfOpenLink(ns: NativeNamespace, path: string): Promise<LinkHandle>;
  bpfPin(ns: NativeNamespace, object: Handle, path: string): Promise<void>;
  bpfUnpin(ns: NativeNamespace, path: string): Promise<void>;
  bpfAttachTcx(ns: NativeNamespace, program: ProgramHandle, ifindex: number): Promise<LinkHandle>;
  bpfQueryTcx(ns: NativeNamespace, ifindex: number): Promise<{ programId: number; linkId: number }[]>;
  bpfUsedHooks(ns: NativeNamespace, ifindex: number): Promise<UsedHook[]>;
  bpfDetachLink(ns: NativeNamespace, link: LinkHandle): Promise<void>;
  bpfUpdateLink(ns: NativeNamespace, link: LinkHandle, program: ProgramHandle): Promise<void>;
  bpfAttachClsact(ns: NativeNamespace, program: ProgramHandle, ifindex: number): Promise<void>;
  bpfDetachClsact(ns: NativeNamespace, ifindex: number, keepQdisc: boolean): Promise<void>;
  bpfQueryClsact(ns: NativeNamespace, ifindex: number): Promise<number>;
  bpfLinksWithout(
    ns: NativeNamespace,
    hook: "tcx" | "clsact",
    program: ProgramHandle,
    ifindexes: Uint32Array,
  ): Promise<number[]>;
  bpfTestRun(
    ns: NativeNamespace,
    program: ProgramHandle,
    data: Uint8Array | undefined,
    context: Uint8Array | undefined,
    repeat: number,
  ): Promise<TestRunResult>;
  bpfClose(object: Handle): void;
  bpfLookup(ns: NativeNamespace, map: MapHandle, key: Uint8Array): Promise<Uint8Array | null>;
  bpfUpdate(ns: NativeNamespace, map: MapHandle, key: Uint8Array, value: Uint8Array, flags: number): Promise<void>;
  bpfUpdateEach(
    ns: NativeNamespace,
    maps: readonly MapHandle[],
    keys: readonly Uint8Array[],
    values: readonly Uint8Array[],
  ): Promise<void>;
  bpfRemove(ns: NativeNamespace, map: MapHandle, key: Uint8Array): Promise<boolean>;
  bpfReadAll(ns: NativeNamespace, map: MapHandle): Promise<MapEntries>;
  bpfLookupMany(ns: NativeNamespace, map: MapHandle, keys: Uint8Array): Promise<(Uint8Array | null)[]>;
  bpfUpdateMany(
    ns: NativeNamespace,
    map: MapHandle,
    keys: Uint8Array,
    values: Uint8Array,
    flags: number,
  ): Promise<void>;
  bpfRemoveMany(ns: NativeNamespace, map: MapHandle, keys: Uint8Array): Promise<number>;
  bpfReadRing(ns: NativeNamespace, map: MapHandle, onRecords: (records: Uint8Array[]) => void): Promise<RingHandle>;
  bpfCloseRing(ns: NativeNamespace, ring: RingHandle): Promise<void>;
  bpfRingDropped(ring: RingHandle): number;
}

/** The handle behind an object of ours; anything else is no object of this door. */
const handles = new WeakMap<object, Handle>();

function handleOf<H extends Handle>(object: object): H {
  const handle = handles.get(object);
  if (handle === undefined) throw new TypeError("not an open BPF object of the addon");
  return handle as H;
}

export class NativeBpf implements Bpf {
  readonly #addon: BpfAddon;
  readonly #ns: NativeNamespace;

  constructor(addon: BpfAddon, ns: NativeNamespace) {
    this.#addon = addon;
    this.#ns = ns;
  }

  async load(objectFile: string, options: BpfLoadOptions = {}): Promise<BpfObject> {
    const loaded = await native(() => this.#addon.bpfLoad(this.#ns, objectFile, options));
    return {
      maps: new Map(loaded.maps.map((handle) => [handle.name, this.#map(handle)])),
      programs: new Map(loaded.programs.map((handle) => [handle.name, this.#program(handle)])),
    };
  }

  async openMap(pinPath: string): Promise<BpfMap> {
    return this.#map(await native(() => this.#addon.bpfOpenMap(this.#ns, pinPath)));
  }

  async openProgram(pinPath: string): Promise<BpfProgram> {
    return this.#program(await native(() => this.#addon.bpfOpenProgram(this.#ns, pinPath)));
  }

  async openLink(pinPath: string): Promise<BpfLink> {
    return this.#link(await native(() => this.#addon.bpfOpenLink(this.#ns, pinPath)));
  }

  pin(object: BpfMap | BpfProgram | BpfLink, path: string): Promise<void> {
    return native(() => this.#addon.bpfPin(this.#ns, handleOf(object), path));
  }

  unpin(path: string): Promise<void> {
    return native(() => this.#addon.bpfUnpin(this.#ns, path));
  }

  async attachTcx(program: BpfProgram, ifindex: number): Promise<BpfLink> {
    return this.#link(await native(() => this.#addon.bpfAttachTcx(this.#ns, handleOf(program), ifindex)));
  }

  queryTcx(ifindex: number): Promise<readonly { readonly programId: number; readonly linkId: number }[]> {
    return native(() => this.#addon.bpfQueryTcx(this.#ns, ifindex));
  }

  usedHooks(ifindex: number): Promise<readonly UsedHook[]> {
    return native(() => this.#addon.bpfUsedHooks(this.#ns, ifindex));
  }

  attachClsact(program: BpfProgram, ifindex: number): Promise<void> {
    return native(() => this.#addon.bpfAttachClsact(this.#ns, handleOf(program), ifindex));
  }

  detachClsact(ifindex: number, { keepQdisc }: { readonly keepQdisc: boolean } = { keepQdisc: false }): Promise<void> {
    return native(() => this.#addon.bpfDetachClsact(this.#ns, ifindex, keepQdisc));
  }

  queryClsact(ifindex: number): Promise<number> {
    return native(() => this.#addon.bpfQueryClsact(this.#ns, ifindex));
  }

  linksWithout(hook: "tcx" | "clsact", program: BpfProgram, ifindexes: readonly number[]): Promise<readonly number[]> {
    return native(() => this.#addon.bpfLinksWithout(this.#ns, hook, handleOf(program), Uint32Array.from(ifindexes)));
  }

  detachLink(link: BpfLink): Promise<void> {
    return native(() => this.#addon.bpfDetachLink(this.#ns, handleOf(link)));
  }

  async updateLink(link: BpfLink, program: BpfProgram): Promise<void> {
    await native(() => this.#addon.bpfUpdateLink(this.#ns, handleOf(link), handleOf(program)));
    linkPrograms.set(link, program.id);
  }

  testRun(program: BpfProgram, run: TestRun): Promise<TestRunResult> {
    return native(() => this.#addon.bpfTestRun(this.#ns, handleOf(program), run.data, run.context, run.repeat ?? 0));
  }

  lookup(map: BpfMap, key: Uint8Array): Promise<Uint8Array | null> {
    return native(() => this.#addon.bpfLookup(this.#ns, handleOf(map), key));
  }

  update(map: BpfMap, key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    return native(() => this.#addon.bpfUpdate(this.#ns, handleOf(map), key, value, flags));
  }

  updateEach(writes: readonly MapWrite[]): Promise<void> {
    const [maps, keys, values] = [
      writes.map(({ map }) => map),
      writes.map(({ key }) => key),
      writes.map(({ value }) => value),
    ];
    return native(() => this.#addon.bpfUpdateEach(this.#ns, maps.map(handleOf<MapHandle>), keys, values));
  }

  remove(map: BpfMap, key: Uint8Array): Promise<boolean> {
    return native(() => this.#addon.bpfRemove(this.#ns, handleOf(map), key));
  }

  readAll(map: BpfMap): Promise<MapEntries> {
    return native(() => this.#addon.bpfReadAll(this.#ns, handleOf(map)));
  }

  lookupMany(map: BpfMap, keys: Uint8Array): Promise<readonly (Uint8Array | null)[]> {
    return native(() => this.#addon.bpfLookupMany(this.#ns, handleOf(map), keys));
  }

  updateMany(map: BpfMap, keys: Uint8Array, values: Uint8Array, flags = 0): Promise<void> {
    return native(() => this.#addon.bpfUpdateMany(this.#ns, handleOf(map), keys, values, flags));
  }

  removeMany(map: BpfMap, keys: Uint8Array): Promise<number> {
    return native(() => this.#addon.bpfRemoveMany(this.#ns, handleOf(map), keys));
  }

  async readRing(map: BpfMap, onRecords: (records: readonly Uint8Array[]) => void): Promise<RingReader> {
    const addon = this.#addon;
    const ns = this.#ns;
    const ring = await native(() => addon.bpfReadRing(ns, handleOf(map), onRecords));
    return {
      get dropped() {
        return addon.bpfRingDropped(ring);
      },
      close: () => ignoreClosed(native(() => addon.bpfCloseRing(ns, ring))),
    };
  }

  #map(handle: MapHandle): BpfMap {
    const { name, id, type, keySize, valueSize, maxEntries } = handle;
    return this.#own(handle, {
      name,
      id,
      type,
      keySize,
      valueSize,
      maxEntries,
      close: () => this.#addon.bpfClose(handle),
    });
  }

  #program(handle: ProgramHandle): BpfProgram {
    const { name, id, tag } = handle;
    return this.#own(handle, { name, id, tag, close: () => this.#addon.bpfClose(handle) });
  }

  #link(handle: LinkHandle): BpfLink {
    const link: BpfLink = this.#own(handle, {
      id: handle.id,
      ifindex: handle.ifindex,
      get programId() {
        return linkPrograms.get(link) ?? handle.programId;
      },
      close: () => this.#addon.bpfClose(handle),
    });
    return link;
  }

  #own<T extends object>(handle: Handle, object: T): T {
    handles.set(object, handle);
    return object;
  }
}

/** What updateLink() put in place of the program that a link was opened with. */
const linkPrograms = new WeakMap<BpfLink, number>();
