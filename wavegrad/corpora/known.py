"""The corpora with a public address, and how each one lays out its files.

Addresses and checksums are those of torchaudio.datasets 2.11 where it has the corpus.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from wavegrad.corpora.corpus import Archive, Corpus, Recording, Split
from wavegrad.errors import CorpusError
from wavegrad.suffixes import AUDIO, files_below


def ljspeech_recordings(root: Path) -> Iterator[Recording]:
    """LJSpeech-1.1/wavs/LJ001-0001.wav; one speaker, no published split."""
    for path in _files(root, "wavs/*.wav"):
        yield Recording(path, path.stem, "ljspeech")


def libritts_recordings(root: Path) -> Iterator[Recording]:
    """LibriTTS/<part>/<speaker>/<chapter>/<speaker>_<chapter>_<...>.wav; dev parts validate, test parts test."""
    splits: dict[str, Split] = {"train": "train", "dev": "valid", "test": "test"}
    for path in _files(root, "*-*/*/*/*.wav"):
        split = splits.get(path.parents[2].name.split("-")[0])
        if split is not None:
            yield Recording(path, path.stem, path.parents[1].name, split)


def vctk_recordings(root: Path) -> Iterator[Recording]:
    """wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac; the first of the two microphones, which all
    speakers have."""
    for path in _files(root, "wav48_silence_trimmed/*/*_mic1.flac"):
        yield Recording(path, path.stem.removesuffix("_mic1"), path.parent.name)


def hifitts_recordings(root: Path) -> Iterator[Recording]:
    """<reader>_manifest_<clean|other>_<train|dev|test>.json beside audio/: a JSON object with audio_filepath a line."""
    splits: dict[str, Split] = {"train": "train", "dev": "valid", "test": "test"}
    for manifest in _files(root, "*_manifest_*_*.json"):
        reader, split = manifest.stem.split("_")[0], splits.get(manifest.stem.split("_")[-1])
        for line in manifest.read_text(encoding="utf-8").splitlines():
            path = manifest.parent / json.loads(line)["audio_filepath"]
            yield Recording(path, f"{reader}_{path.stem}", reader, split)


def folder_recordings(root: Path) -> Iterator[Recording]:
    """Any folder: the first folder below it is taken for the speaker."""
    for path in files_below(root, AUDIO):
        below = path.relative_to(root)
        yield Recording(path, "_".join(below.with_suffix("").parts), below.parts[0] if len(below.parts) > 1 else "all")


def _files(root: Path, pattern: str) -> list[Path]:
    """Below `root` at any depth: archives are unpacked into a folder of their own, or were so by the user."""
    return sorted(p for p in root.rglob(pattern) if p.is_file())


def _libritts_archive(part: str, sha256: str) -> tuple[str, Archive]:
    return part, Archive(f"http://www.openslr.org/resources/60/{part}.tar.gz", f"sha256:{sha256}")


LJSPEECH = Corpus(
    "ljspeech",
    {
        "all": Archive(
            "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
            "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        )
    },
    ("all",),
    ljspeech_recordings,
    "The LJ Speech Dataset, K. Ito and L. Johnson 2017; public domain; 24 h, one speaker, 22.05 kHz",
)
LIBRITTS = Corpus(
    "libritts",
    dict(
        (
            _libritts_archive("dev-clean", "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a"),
            _libritts_archive("dev-other", "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c"),
            _libritts_archive("test-clean", "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5"),
            _libritts_archive("test-other", "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d"),
            _libritts_archive("train-clean-100", "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b"),
            _libritts_archive("train-clean-360", "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886"),
            _libritts_archive("train-other-500", "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df"),
        )
    ),
    ("train-clean-100", "train-clean-360", "dev-clean", "test-clean"),
    libritts_recordings,
    "LibriTTS, H. Zen et al. 2019; CC BY 4.0; 585 h, 2,456 speakers, 24 kHz",
)
VCTK = Corpus(
    "vctk",
    {
        "all": Archive(
            "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
            "sha256:f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
        )
    },
    ("all",),
    vctk_recordings,
    "CSTR VCTK Corpus 0.92, J. Yamagishi et al. 2019; CC BY 4.0; 44 h, 110 speakers, 48 kHz",
)
HIFITTS = Corpus(
    "hifitts",
    {"all": Archive("https://www.openslr.org/resources/109/hi_fi_tts_v0.tar.gz", None)},
    ("all",),
    hifitts_recordings,
    "Hi-Fi TTS, E. Bakhturina et al. 2021; CC BY 4.0; 292 h, 10 speakers, 44.1 kHz",
)
FOLDER = Corpus("folder", {}, (), folder_recordings, "a folder of your own")

CORPORA: Mapping[str, Corpus] = MappingProxyType({c.name: c for c in (LJSPEECH, LIBRITTS, VCTK, HIFITTS, FOLDER)})


def parts_of(corpus: Corpus, names: tuple[str, ...]) -> tuple[str, ...]:
    """The parts to fetch: those named, or the default ones.

    Raises:
        CorpusError: there is no such part.
    """
    for name in names:
        if name not in corpus.parts:
            raise CorpusError(f"{corpus.name} has no part {name!r}; it has {', '.join(corpus.parts) or 'none'}")
    return names or corpus.default_parts
