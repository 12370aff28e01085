/** Measures contenders in turns (A B C, A B C, …), so that all of them meet the same disturbances. */

export type Sample = Readonly<Record<string, number>>;

export interface Contender {
  readonly name: string;
  measure(): Promise<Sample>;
}

export interface RoundOptions {
  readonly warmups: number;
  readonly counted: number;
  readonly signal: AbortSignal;
}

/** Samples by contender, in the order of the rounds; warm-ups are not among them. */
export async function interleave(
  contenders: readonly Contender[],
  { warmups, counted, signal }: RoundOptions,
): Promise<Readonly<Record<string, readonly Sample[]>>> {
  const samples: Record<string, Sample[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let round = -warmups; round < counted; round++) {
    for (const { name, measure } of contenders) {
      signal.throwIfAborted();
      const sample = await measure();
      if (round >= 0) samples[name]?.push(sample);
    }
  }
  return samples;
}

/** One field of the samples of one contender. */
export function column(
  samples: Readonly<Record<string, readonly Sample[]>>,
  contender: string,
  field: string,
): readonly number[] {
  return (samples[contender] ?? []).map((sample) => sample[field] ?? Number.NaN);
}
