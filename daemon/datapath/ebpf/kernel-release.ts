/** "6.1.0-55-amd64" and the like. Pure. */
export function isOlderThan(kernelRelease: string, major: number, minor: number): boolean {
  const [ofMajor = 0, ofMinor = 0] = kernelRelease.split(/[.-]/).map(Number);
  return ofMajor < major || (ofMajor === major && ofMinor < minor);
}
