import test from "ava";
import fc from "fast-check";
import { formatMac, isStationMac, macBytes, macFault, parseMac, stationMac } from "../../daemon/model/mac.ts";

const NO_MAC = ["", "00:00:00:00:00", "0:0:0:0:0:0", "00-00-00-00-00-00", "00:00:00:00:00:0g", "02:00:00:00:00:01 "];

test("text and octets are the same address in both directions; what is none is refused", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.uint8Array({ maxLength: 4 }), (octets, before) => {
      t.deepEqual(parseMac(formatMac(octets)), octets);
      t.deepEqual(macBytes(formatMac(octets).toUpperCase()), octets);
      t.is(formatMac(Uint8Array.of(...before, ...octets), before.length), formatMac(octets));
    }),
  );
  for (const bad of NO_MAC) {
    t.is(parseMac(bad), null, bad);
    t.throws(() => macBytes(bad), { instanceOf: RangeError });
  }
});

test("an interface's own address is individual and not zero", (t) => {
  for (const mac of ["02:00:5e:10:00:01", "AA:bb:cc:dd:ee:ff"]) {
    t.is(macFault(mac), null);
    t.true(isStationMac(mac));
  }
  const never = ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "02-00-5e-10-00-01", ...NO_MAC];
  for (const mac of never) {
    t.truthy(macFault(mac), mac);
    t.false(isStationMac(mac));
  }
});

test("a runtime may write hyphens and capitals; what is kept is the colon form", (t) => {
  t.is(stationMac("02-AB-00-00-00-01"), "02:ab:00:00:00:01");
  t.is(stationMac("02:ab:00:00:00:01"), "02:ab:00:00:00:01");
  for (const bad of ["", "02:00:00:00:00", "01:00:00:00:00:00", "0200.0000.0001", "02:00:00:00:00:01 "])
    t.is(stationMac(bad), null, bad);
});
