"""Downloads from a real server on this machine: ranges, broken connections, wrong sums, archives that lie."""

import errno
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wavegrad.corpora.corpus import Archive
from wavegrad.corpora.download import fetch, fetch_unpacked, unpack
from wavegrad.errors import CorpusError

CONTENT = bytes(range(256)) * 400


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, honours Range, and breaks off after `cut` bytes while that is set."""

    cut: int | None = None
    ranges: list[str | None]

    def do_GET(self) -> None:
        if self.path != "/c.tar.gz":
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        begin = int(asked.split("=")[1].rstrip("-")) if asked else 0
        if begin >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        self.wfile.write(CONTENT[begin:][: self.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Server.cut, Server.ranges = None, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/c.tar.gz"
        server.shutdown()
        thread.join()


def quiet(line: str) -> None:
    """Nobody listens."""


def sum_of(content: bytes, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


@pytest.mark.parametrize("checksum", [sum_of(CONTENT), sum_of(CONTENT, "md5"), None])
def test_what_arrives_is_what_was_sent_and_is_not_fetched_twice(address, tmp_path, checksum):
    for _ in range(2):
        path = fetch(Archive(address, checksum), tmp_path, quiet)
        assert path.read_bytes() == CONTENT
    assert Server.ranges == [None]
    assert [p.name for p in tmp_path.iterdir()] == ["c.tar.gz"]


def test_a_broken_download_goes_on_where_it_broke(address, tmp_path):
    Server.cut = 30_000
    with pytest.raises(CorpusError, match=r"30000 bytes are kept in .*c\.tar\.gz\.part, the same command goes on"):
        fetch(Archive(address, sum_of(CONTENT)), tmp_path, quiet)
    Server.cut = None
    assert fetch(Archive(address, sum_of(CONTENT)), tmp_path, quiet).read_bytes() == CONTENT
    assert Server.ranges == [None, "bytes=30000-"]


def test_a_download_that_broke_after_the_last_byte_is_complete(address, tmp_path):
    (tmp_path / "c.tar.gz.part").write_bytes(CONTENT)
    assert fetch(Archive(address, sum_of(CONTENT)), tmp_path, quiet).read_bytes() == CONTENT


def test_a_wrong_sum_is_refused_and_the_file_deleted(address, tmp_path):
    with pytest.raises(CorpusError, match="the sha256 sum is"):
        fetch(Archive(address, sum_of(b"other")), tmp_path, quiet)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_was_there_is_checked_and_what_is_unpacked_is_not_fetched(address, tmp_path):
    """One that came by another way, cut off perhaps, was taken for good; and without it all was fetched again."""
    (tmp_path / "c.tar.gz").write_bytes(CONTENT[:-1])
    with pytest.raises(CorpusError, match=r"c\.tar\.gz: the sha256 sum is .*; delete it, and it is downloaded again"):
        fetch_unpacked(Archive(address, sum_of(CONTENT)), tmp_path, quiet)
    assert (tmp_path / "c.tar.gz").read_bytes() == CONTENT[:-1]
    (tmp_path / "c.tar.gz").unlink()
    (tmp_path / "c").mkdir()
    assert fetch_unpacked(Archive(address, sum_of(CONTENT)), tmp_path, quiet) == tmp_path / "c"
    assert Server.ranges == []


def test_a_server_that_does_not_have_it_is_one_line(address, tmp_path):
    with pytest.raises(CorpusError, match="404"):
        fetch(Archive(address.replace("c.tar", "d.tar"), None), tmp_path, quiet)
    with pytest.raises(CorpusError, match="refused"):
        fetch(Archive("http://127.0.0.1:9/c.tar.gz", None), tmp_path, quiet)


def tar_of(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return path


def test_archives_are_unpacked_once(tmp_path):
    tar = tar_of(tmp_path / "a.tar.gz", "x/1.wav")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as z:
        z.writestr("y/2.wav", b"abc")
    assert (unpack(tar, tmp_path) / "x" / "1.wav").read_bytes() == b"abc"
    assert (unpack(tmp_path / "b.zip", tmp_path) / "y" / "2.wav").read_bytes() == b"abc"
    (tmp_path / "a" / "x" / "1.wav").write_bytes(b"kept")
    assert (unpack(tar, tmp_path) / "x" / "1.wav").read_bytes() == b"kept"


@pytest.mark.parametrize("suffix", ["gz", "bz2"])
@pytest.mark.parametrize("level", [0, 9])
def test_an_archive_in_which_bits_changed_leaves_nothing(tmp_path, suffix, level):
    """Its sum lies behind the last member, where nobody looked: garbage was unpacked without a word."""
    text, mode = b"".join(b"line %d\n" % n**2 for n in range(20000)), f"w:{suffix}"
    with tarfile.open(tmp_path / f"a.tar.{suffix}", mode, compresslevel=max(level, suffix == "bz2")) as tar:
        member = tarfile.TarInfo("a.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    content = bytearray((tmp_path / f"a.tar.{suffix}").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(value ^ 0xA5 for value in content[middle : middle + 20])
    (tmp_path / f"a.tar.{suffix}").write_bytes(content)
    with pytest.raises(CorpusError, match=r"^\S+ cannot be unpacked: .*; delete it and download it again$"):
        unpack(tmp_path / f"a.tar.{suffix}", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_no_damage(tmp_path, monkeypatch):
    """A whole archive was to be deleted and downloaded again."""
    whole = tar_of(tmp_path / "a.tar.gz", "1.wav")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(CorpusError, match="No space left on device; then the same command goes on"):
        unpack(whole, tmp_path / "out")
    monkeypatch.undo()
    assert (unpack(whole, tmp_path / "out") / "1.wav").exists()


def test_an_archive_that_names_files_outside_or_is_cut_leaves_nothing(tmp_path):
    outside = tar_of(tmp_path / "evil.tar.gz", "ok.wav", "../outside.wav")
    cut = tar_of(tmp_path / "cut.tar.gz", *(f"{i}.wav" for i in range(200)))
    cut.write_bytes(cut.read_bytes()[:-400])
    for archive in (outside, cut):
        with pytest.raises(CorpusError, match="cannot be unpacked"):
            unpack(archive, tmp_path / "out")
    assert not (tmp_path / "outside.wav").exists()
    assert list((tmp_path / "out").iterdir()) == []
