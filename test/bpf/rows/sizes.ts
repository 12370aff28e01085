/** Rows of the table: the MTU. is_skb_forwardable() of the Linux bridge allows VLAN_HLEN more. */
import { ACCESS_A, ACCESS_B, between, type Row } from "../../peers/bench-table.ts";
import { ETH_P_IP, filler, ipv4, TPID_8021AD } from "../../peers/frames.ts";

/** An Ethernet frame whose layer-3 size is `size`. */
function sized(size: number, rest: Parameters<typeof between>[2] = {}): Uint8Array {
  const tags = rest.tags?.length ?? 0;
  return between(ACCESS_A, ACCESS_B, { payload: filler(size - 4 * tags), ...rest });
}

export const sizes: readonly Row[] = [
  ...(
    [
      ["the MTU", 1500, {}, true],
      ["four octets more, as the bridge", 1504, {}, true],
      ["five octets more", 1505, {}, false],
      ["a frame of 3400 octets", 3400, {}, false],
      ["an 802.1ad frame with the MTU inside", 1504, { tags: [{ vid: 5, tpid: TPID_8021AD }] }, true],
      ["an 802.1ad frame with more inside", 1505, { tags: [{ vid: 5, tpid: TPID_8021AD }] }, false],
    ] as const
  ).map(
    ([title, size, rest, fits]): Row => ({
      title: `size: ${title} ${fits ? "passes" : "is too big"}`,
      at: ACCESS_A,
      frame: sized(size, rest),
      expect: fits
        ? { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } }
        : { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/mtu": 1 } },
    }),
  ),
  {
    title: "size: a tag in the payload does not count, as it would not in the metadata",
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid: 100 }], payload: filler(1504) }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "2/100": 1 },
      data: between(ACCESS_A, ACCESS_B, { payload: filler(1504) }),
    },
  },
  ...(
    [
      ["tcp", 1460, true],
      ["tcp", 1464, true],
      ["tcp", 1465, false],
      ["tcp", 8960, false],
      ["udp", 1480, true],
      ["udp", 1485, false],
    ] as const
  ).map(
    ([protocol, gsoSize, fits]): Row => ({
      title: `size: a GSO frame of ${protocol} segments of ${gsoSize} ${fits ? "passes" : "is too big"}`,
      at: ACCESS_A,
      frame: between(ACCESS_A, ACCESS_B, {
        etherType: ETH_P_IP,
        payload: ipv4(protocol, "10.0.0.1", "10.0.0.2", 3200),
      }),
      gsoSize,
      expect: fits
        ? { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } }
        : { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/mtu": 1 } },
    }),
  ),
];
