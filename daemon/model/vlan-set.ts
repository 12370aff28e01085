/** An immutable set of VLAN IDs 1..4094, kept as the bitmap that the BPF maps and netlink ranges are made from. Pure. */

const WORDS = 128; // 4096 bits in 32-bit words

/** VLAN IDs that a frame can carry: 0 means "no VLAN" and 4095 is reserved (IEEE 802.1Q table 9-2). */
export const VLAN_MIN = 1;
export const VLAN_MAX = 4094;

export interface VlanRange {
  readonly first: number;
  readonly last: number;
}

export function isVlanId(value: number): boolean {
  return Number.isInteger(value) && value >= VLAN_MIN && value <= VLAN_MAX;
}

/** Text that is not a list of VLANs. `offset` is where in the text. */
export class VlanSetSyntaxError extends Error {
  override readonly name = "VlanSetSyntaxError";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

export class VlanSet implements Iterable<number> {
  static readonly empty: VlanSet = new VlanSet(new Uint32Array(WORDS));
  static readonly all: VlanSet = VlanSet.fromRanges([{ first: VLAN_MIN, last: VLAN_MAX }]);

  /** Most ports have one VLAN, and a host looks at hundreds of them at a time: each such set is made once. */
  static readonly #singles = new Map<number, VlanSet>();

  readonly #bits: Uint32Array;
  /** number of VLANs in the set */
  readonly count: number;

  private constructor(bits: Uint32Array) {
    this.#bits = bits;
    let count = 0;
    for (const bitsOfWord of bits) count += popcount(bitsOfWord);
    this.count = count;
  }

  static of(...vids: readonly number[]): VlanSet {
    const [vid, ...others] = vids;
    return vid === undefined || others.length > 0 ? VlanSet.from(vids) : VlanSet.#only(vid);
  }

  static #only(vid: number): VlanSet {
    let single = VlanSet.#singles.get(vid);
    if (single === undefined) {
      single = VlanSet.from([vid]);
      VlanSet.#singles.set(vid, single);
    }
    return single;
  }

  static from(vids: Iterable<number>): VlanSet {
    const bits = new Uint32Array(WORDS);
    for (const vid of vids) {
      assertVlan(vid);
      setBit(bits, vid);
    }
    return new VlanSet(bits);
  }

  static fromRanges(ranges: Iterable<VlanRange>): VlanSet {
    const bits = new Uint32Array(WORDS);
    for (const { first, last } of ranges) {
      assertVlan(first);
      assertVlan(last);
      if (first > last) throw new RangeError(`VLAN range ${first}-${last} runs backwards`);
      for (let vid = first; vid <= last; vid++) setBit(bits, vid);
    }
    return new VlanSet(bits);
  }

  /** "100,200-210"; blanks around numbers are fine, the empty text is the empty set. */
  static parse(text: string): VlanSet {
    if (text.trim() === "") return VlanSet.empty;
    const ranges: VlanRange[] = [];
    let offset = 0;
    for (const part of text.split(",")) {
      ranges.push(parseRange(part, offset));
      offset += part.length + 1;
    }
    return VlanSet.fromRanges(ranges);
  }

  /** Reads 512 octets: bit vid % 8 of octet vid / 8, which is the little-endian form of the maps' u64 words. */
  static fromBitmap(bytes: Uint8Array): VlanSet {
    if (bytes.length !== WORDS * 4) throw new RangeError(`a VLAN bitmap has ${WORDS * 4} octets, not ${bytes.length}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const single = soleVlan(view);
    if (single !== 0) return VlanSet.#only(single);
    const bits = new Uint32Array(WORDS);
    for (let i = 0; i < WORDS; i++) bits[i] = view.getUint32(i * 4, true);
    if ((word(bits, 0) & 1) !== 0 || word(bits, WORDS - 1) >>> 31 !== 0)
      throw new RangeError("a VLAN bitmap holds 0 or 4095");
    return new VlanSet(bits);
  }

  /** The inverse of fromBitmap. */
  toBitmap(): Uint8Array {
    const bytes = new Uint8Array(WORDS * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < WORDS; i++) view.setUint32(i * 4, word(this.#bits, i), true);
    return bytes;
  }

  has(vid: number): boolean {
    return isVlanId(vid) && ((word(this.#bits, vid >>> 5) >>> (vid & 31)) & 1) === 1;
  }

  /** How many VLANs of the set are below `vid`: the place of `vid` in ascending order. */
  rank(vid: number): number {
    if (!isVlanId(vid)) throw new RangeError(`VLAN ${vid} is not in ${VLAN_MIN}..${VLAN_MAX}`);
    let below = popcount(word(this.#bits, vid >>> 5) & ((1 << (vid & 31)) - 1));
    for (let i = 0; i < vid >>> 5; i++) below += popcount(word(this.#bits, i));
    return below;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  equals(other: VlanSet): boolean {
    return this === other || (this.count === other.count && this.#bits.every((w, i) => w === other.#bits[i]));
  }

  isSubsetOf(other: VlanSet): boolean {
    return this === other || this.#bits.every((w, i) => (w & ~word(other.#bits, i)) === 0);
  }

  union(other: VlanSet): VlanSet {
    if (other.isEmpty || other === this) return this;
    if (this.isEmpty) return other;
    return new VlanSet(this.#bits.map((w, i) => w | word(other.#bits, i)));
  }

  intersection(other: VlanSet): VlanSet {
    return new VlanSet(this.#bits.map((w, i) => w & word(other.#bits, i)));
  }

  difference(other: VlanSet): VlanSet {
    return new VlanSet(this.#bits.map((w, i) => w & ~word(other.#bits, i)));
  }

  /** ascending */
  *[Symbol.iterator](): Iterator<number> {
    for (let i = 0; i < WORDS; i++) {
      for (let rest = word(this.#bits, i); rest !== 0; rest &= rest - 1) yield i * 32 + 31 - Math.clz32(rest & -rest);
    }
  }

  /** The fewest ranges, ascending. */
  *ranges(): Generator<VlanRange> {
    let open: { first: number; last: number } | undefined;
    for (const vid of this) {
      if (open !== undefined && vid === open.last + 1) {
        open.last = vid;
        continue;
      }
      if (open !== undefined) yield open;
      open = { first: vid, last: vid };
    }
    if (open !== undefined) yield open;
  }

  /** The canonical text, which parse reads back. */
  toString(): string {
    return [...this.ranges()].map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
  }

  toJSON(): string {
    return this.toString();
  }
}

/** The VLAN of a bitmap that has one; 0: it has none, or several, or what is no VLAN. */
function soleVlan(view: DataView): number {
  let found = 0;
  for (let i = 0; i < WORDS; i++) {
    const bits = view.getUint32(i * 4, true);
    if (bits === 0) continue;
    if (found !== 0 || (bits & (bits - 1)) !== 0) return 0;
    found = i * 32 + 31 - Math.clz32(bits);
    if (!isVlanId(found)) return 0;
  }
  return found;
}

function parseRange(part: string, offset: number): VlanRange {
  const match = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(part);
  if (match === null) {
    throw new VlanSetSyntaxError(`"${part.trim()}" is not a VLAN or a range of VLANs`, offset);
  }
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  for (const vid of [first, last]) {
    if (!isVlanId(vid)) throw new VlanSetSyntaxError(`VLAN ${vid} is not in ${VLAN_MIN}..${VLAN_MAX}`, offset);
  }
  if (first > last) throw new VlanSetSyntaxError(`VLAN range ${first}-${last} runs backwards`, offset);
  return { first, last };
}

function assertVlan(vid: number): void {
  if (!isVlanId(vid)) throw new RangeError(`VLAN ${vid} is not in ${VLAN_MIN}..${VLAN_MAX}`);
}

function word(bits: Uint32Array, index: number): number {
  return bits[index] ?? 0;
}

function setBit(bits: Uint32Array, vid: number): void {
  bits[vid >>> 5] = word(bits, vid >>> 5) | (1 << (vid & 31));
}

function popcount(value: number): number {
  let v = value - ((value >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
