// The machine of a change of intent: whatever is said to it in whatever order, it keeps its promises.
import test from "ava";
import fc from "fast-check";
import { PortwrightError } from "../../daemon/errors.ts";
import { type Change, type Event, initial, next, type State } from "../../daemon/transaction/machine.ts";

const change = (confirm: number): Change => ({ id: "c", origin: "request", confirm, startedAt: "" });
const fault = fc.constantFrom(null, null, { cause: "verify", reason: "worse" } as const);
const clock = fc.integer({ min: 0, max: 5000 });

const events: fc.Arbitrary<Event> = fc.oneof(
  fc.constantFrom(0, 2).map((confirm): Event => ({ type: "begin", change: change(confirm) })),
  fc.constantFrom<Event>(
    ...(["unchanged", "no-steps", "roll-back", "committed", "rolled-back"] as const).map((type) => ({
      type,
    })),
  ),
  fc.constantFrom(0, 2).map((confirm): Event => ({ type: "checkpointed", confirm })),
  fc.constantFrom<Event>({ type: "refuse", reason: "r" }, { type: "not-committed", reason: "r" }),
  fault.map((f): Event => ({ type: "applied", fault: f })),
  fc.tuple(fault, clock).map(([f, now]): Event => ({ type: "verified", fault: f, now })),
  clock.map((now): Event => ({ type: "confirm", now })),
  clock.map((now): Event => ({ type: "time", now })),
);

/** What came of it; what is not possible is refused and changes nothing. */
function play(sequence: readonly Event[]): { readonly event: Event; readonly from: State; readonly to: State }[] {
  let state: State = initial;
  return sequence.flatMap((event) => {
    const from = state;
    try {
      state = next(state, event);
    } catch {
      return [];
    }
    return [{ event, from, to: state }];
  });
}

const sequences = fc.array(events, { minLength: 1, maxLength: 60 });

test("what was touched ends by a commit or a roll-back, never otherwise", (t) => {
  const touched = new Set(["applying", "verifying", "waiting", "committing", "rolling-back"]);
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { from, to } of play(sequence)) {
        if (!touched.has(from.phase) || touched.has(to.phase)) continue;
        if (to.phase !== "idle" || !["committed", "rolled-back"].includes(to.last?.result ?? "")) return false;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test("nothing is committed that was not verified, or that waited for a confirmation which did not come", (t) => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { event, from, to } of play(sequence)) {
        if (to.phase !== "committing" || from.phase === "committing") continue;
        if (event.type === "no-steps") continue;
        const isVerified = event.type === "verified" && event.fault === null && to.change.confirm === 0;
        const isConfirmed = event.type === "confirm" && from.phase === "waiting" && event.now < from.deadline;
        if (!isVerified && !isConfirmed) return false;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test("a second change is refused while there is one, and the first does not notice", (t) => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      const state = play(sequence).at(-1)?.to ?? initial;
      if (state.phase === "idle") return next(state, { type: "begin", change: change(0) }).phase === "preparing";
      try {
        next(state, { type: "begin", change: change(0) });
        return false;
      } catch (error) {
        return error instanceof PortwrightError && error.code === "TRANSACTION_PENDING";
      }
    }),
  );
  t.pass();
});

const walk = (...sequence: Event[]): State => sequence.reduce(next, initial);
const begin = (confirm: number): Event => ({ type: "begin", change: change(confirm) });
const checkpointed: Event = { type: "checkpointed", confirm: 0 };
const applied: Event = { type: "applied", fault: null };
const verified: Event = { type: "verified", fault: null, now: 1000 };

test("time runs out at the deadline, not before; a confirmation at the deadline is too late", (t) => {
  const waiting = walk(begin(2), checkpointed, applied, verified);
  t.is(next(waiting, { type: "time", now: 2999 }), waiting);
  t.like(next(waiting, { type: "time", now: 3000 }), { phase: "rolling-back", fault: { cause: "timeout" } });
  t.is(next(waiting, { type: "confirm", now: 2999 }).phase, "committing");
  t.throws(() => next(waiting, { type: "confirm", now: 3000 }), { message: /nothing to confirm/ });
});

test("an operator's roll-back amid the steps counts when they have ended", (t) => {
  const wished = walk(begin(0), checkpointed, { type: "roll-back" });
  t.is(wished.phase, "applying");
  t.like(next(wished, applied), { phase: "rolling-back", fault: { cause: "operator" } });
  const later = walk(begin(0), checkpointed, applied, { type: "roll-back" }, verified);
  t.like(later, { phase: "rolling-back", fault: { cause: "operator" } });
});

test("a commit that cannot be written is a roll-back", (t) => {
  const state = walk(begin(0), checkpointed, applied, verified, { type: "not-committed", reason: "disk" });
  t.like(state, { phase: "rolling-back", fault: { cause: "verify", reason: "disk" } });
});

test("without a change there is nothing to confirm or roll back", (t) => {
  for (const event of [{ type: "confirm", now: 0 }, { type: "roll-back" }] as const) {
    const error = t.throws(() => next(initial, event));
    t.like(error, { code: "TRANSACTION_NONE" });
  }
});

test("a plan that needs a confirmation waits for it, as long as was asked for or as the plan says", (t) => {
  const vital: Event = { type: "checkpointed", confirm: 60 };
  t.like(walk(begin(0), vital, applied, verified), { phase: "waiting", change: { confirm: 60 } });
  t.like(walk(begin(2), vital, applied, verified), { phase: "waiting", change: { confirm: 2 } });
});
