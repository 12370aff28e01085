/** The VLANs of a trunk, as `[{id} | {minID, maxID}]`. */
import { VlanSet, type VlanRange } from "../../model/vlan-set.ts";
import type { RawTrunkItem } from "../schemas/network.ts";
import type { Path } from "../source.ts";
import type { Check } from "../validate.ts";

export function readTrunk(check: Check, items: readonly RawTrunkItem[], base: Path): VlanSet {
  const ranges: VlanRange[] = [];
  items.forEach((item, index) => {
    const path = [...base, index];
    if (item.id === undefined && item.minID === undefined && item.maxID === undefined) {
      check.refuse(path, "is empty: give id, or minID and maxID");
    }
    if (item.id !== undefined) ranges.push({ first: item.id, last: item.id });
    if ((item.minID === undefined) !== (item.maxID === undefined)) {
      check.refuse(path, "must have both minID and maxID, or neither");
    } else if (item.minID !== undefined && item.maxID !== undefined) {
      if (item.minID > item.maxID) {
        check.refuse([...path, "minID"], `must not be above maxID: ${item.minID} > ${item.maxID}`);
      } else {
        ranges.push({ first: item.minID, last: item.maxID });
      }
    }
  });
  return VlanSet.fromRanges(ranges);
}
