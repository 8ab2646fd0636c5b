// Sound that every browser can seek in.

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// FLAC travels, WAV is played: Chromium never comes back from a seek into the last frames of a short FLAC, and to
// switch systems is to seek. Decoded at the file's own rate: no sample of 16 bits changes.
async function playable(take) {
  const flac = bytes(take.audio);
  const samples = (await new OfflineAudioContext(1, 1, take.rate).decodeAudioData(flac.buffer)).getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, take.rate, true);
  view.setUint32(28, 2 * take.rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(x * 32768))), true));
  return URL.createObjectURL(new Blob([view], { type: "audio/wav" })); // blob: Safari seeks in it, and not in data:
}

function asItIs(take) { // where the browser decodes no FLAC, or not at this rate
  return URL.createObjectURL(new Blob([bytes(take.audio)], { type: "audio/flac" }));
}

