import test from "ava";
import { isOlderThan } from "../../daemon/datapath/ebpf/kernel-release.ts";

test("kernel releases compare by number, whatever a distribution appends", (t) => {
  t.true(isOlderThan("5.16.20", 5, 17));
  t.true(isOlderThan("4.19.0-27-amd64", 5, 17));
  t.false(isOlderThan("5.17.0", 5, 17));
  t.false(isOlderThan("6.1.0-55-amd64", 5, 17));
  t.true(isOlderThan("6.1.0-55-amd64", 6, 15));
  t.false(isOlderThan("6.18.44-fc-v445", 6, 15));
});
