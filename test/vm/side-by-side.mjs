// @ts-check
// Several streams of results as one, in the order in which the results come.

/**
 * A stream that throws ends all of them; so does whoever stops reading.
 * @template T
 * @param {readonly AsyncGenerator<T>[]} streams
 * @returns {AsyncGenerator<T>}
 */
export async function* sideBySide(streams) {
  const next = (/** @type {AsyncGenerator<T>} */ stream) => stream.next().then((result) => ({ stream, result }));
  const waiting = new Map(streams.map((stream) => [stream, next(stream)]));
  try {
    while (waiting.size > 0) {
      const { stream, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(stream);
        continue;
      }
      waiting.set(stream, next(stream));
      yield result.value;
    }
  } finally {
    await Promise.allSettled(
      [...waiting].map(([stream, result]) => Promise.allSettled([result, stream.return(undefined)])),
    );
  }
}
