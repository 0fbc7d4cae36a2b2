"""What cannot be done is refused: one line, the right status, no trace.

Each refusal is a row: what is asked for, the exit status, and words that the
message must have.  refuse() sees to the rest: a single line on stderr,
nothing on stdout, no file made, no temporary file left, the input untouched.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import math
import os
import resource
import signal
import struct
import unittest

import checkpoint
from programs import (DAMAGED, FIXTURES, SYSTEM, UNSUPPORTED, USAGE,
                      ProgramTest)

# A program, its fixture, and the arguments that write "out" + ending.
CONVERTERS = {
    "bnfuse": ("small_net", lambda source, arch, target:
               ("--arch", arch, source, target)),
    "lnin-convert": ("net1", lambda source, arch, target:
                     ("--arch", arch, source, "-o", target)),
}


class BadFiles(ProgramTest):
    """Files that are no checkpoint, or not a whole one."""

    def refuse_everywhere(self, status, words, name):
        """By every program, as its input."""
        words = (f"{name}: ", *words)
        for program, (stem, args) in CONVERTERS.items():
            arch = FIXTURES / f"{stem}.txt"
            self.refuse(status, words, program, *args(name, arch, "out.pt"))
        self.refuse(status, words, "ptfold", "info", name)

    def test_folders_that_stand_for_a_checkpoint(self):
        rows = ((".metadata", ["distributed checkpoint", "dcp_to_torch"]),
                ("zero_to_fp32.py", ["DeepSpeed", "zero_to_fp32.py"]),
                ("model.safetensors", ["give the model.safetensors in it"]),
                ("pytorch_model.bin.index.json",
                 ["give the pytorch_model.bin.index.json in it"]),
                ("data.pkl", ["unpacked checkpoint", "zip -r -0"]))
        for number, (name, words) in enumerate(rows):
            self.path(f"{number}").mkdir()
            self.path(f"{number}/{name}").write_bytes(b"")
            self.refuse_everywhere(UNSUPPORTED, words, f"{number}")
        part = self.path("0/__0_0.distcp")
        part.write_bytes(b"PK\3\4")
        self.refuse_everywhere(UNSUPPORTED, ["a part of", "dcp_to_torch"],
                               "0/__0_0.distcp")

    def test_files_that_are_something_else(self):
        gzip = b"\x1f\x8b\x08" + bytes(40)
        rows = (
            ("empty", b"", DAMAGED, ["empty"]),
            ("one_byte", b"P", DAMAGED, ["starts with 50)"]),
            ("zeros", bytes(1000), DAMAGED, ["starts with 00 00 00 00)"]),
            ("lfs", b"version https://git-lfs.github.com/spec/v1\n"
             b"oid sha256:0123\nsize 12345\n", UNSUPPORTED, ["git-lfs"]),
            ("page", b"<!DOCTYPE html><html><body>404</body></html>",
             UNSUPPORTED, ["HTML"]),
            ("gzip", gzip, UNSUPPORTED, ["gzip"]),
            ("text", b"smallNetTrain(\n  (0): ReLU()\n)\n", UNSUPPORTED,
             ["got a text", "--arch"]),
            ("zip_of_nothing", b"PK\5\6" + bytes(18), UNSUPPORTED,
             ["empty zip"]),
        )
        for name, data, status, words in rows:
            with self.subTest(name):
                self.write(name, data)
                self.refuse_everywhere(status, words, name)

    def test_files_that_cannot_be_opened(self):
        self.path("folder").mkdir()
        self.path("loop").symlink_to("loop")
        for name, words in (("missing", ["cannot open"]),
                            ("folder", ["directory"]),
                            ("loop", ["cannot open"]),
                            ("missing/x", ["cannot open"]),
                            ("/dev/null", [])):
            with self.subTest(name):
                self.refuse_everywhere(SYSTEM, words, name)

    def test_files_that_are_cut_short(self):
        """At every place where a structure of the zip begins or ends."""
        for program, (stem, args) in CONVERTERS.items():
            whole = (FIXTURES / f"{stem}.pt").read_bytes()
            places = {p + d for p in checkpoint.zip_structures(whole)
                      for d in (-1, 0, 1)}
            for size in sorted(p for p in places if 4 <= p < len(whole)):
                self.write("cut.pt", whole[:size])
                self.refuse(DAMAGED, ["cut.pt: "], program,
                            *args("cut.pt", FIXTURES / f"{stem}.txt", "x.pt"))

    def test_legacy_files_that_are_cut_short_or_changed(self):
        whole = (FIXTURES / "legacy.pt").read_bytes()
        for size in range(16, len(whole), 61):
            self.write("cut.pt", whole[:size])
            self.refuse(DAMAGED, ["cut.pt: "], "ptfold", "info", "cut.pt")
        names = whole.replace(b"_rebuild_tensor_v2", b"_rebuild_sensor_v2")
        self.assertNotEqual(names, whole)
        self.write("names.pt", names)
        self.refuse(UNSUPPORTED, ["names.pt: ", "_rebuild_sensor_v2"],
                    "ptfold", "info", "names.pt")

    def test_bits_that_changed_are_seen_by_the_checksum(self):
        for program, (stem, args) in CONVERTERS.items():
            data = bytearray((FIXTURES / f"{stem}.pt").read_bytes())
            weights = checkpoint.read_torch(FIXTURES / f"{stem}.pt")
            largest = max((raw for _, raw in weights.values()), key=len)
            at = bytes(data).index(largest)
            data[at + 5] ^= 1
            self.write("bad.pt", data)
            for option in ([], ["--no-check"]):
                self.refuse(DAMAGED, ["bad.pt: ", "data/", "CRC-32"], program,
                            *option, *args("bad.pt", FIXTURES / f"{stem}.txt",
                                           "out.pt"))
        for option in ("--verify", "--sha256"):
            self.refuse(DAMAGED, ["bad.pt: ", "data/", "CRC-32"], "ptfold",
                        "info", option, "bad.pt")


class BadContents(ProgramTest):
    """Sound files whose tensors are not those of the network."""

    def changed(self, stem, change):
        tensors = checkpoint.read_torch(FIXTURES / f"{stem}.pt")
        change(tensors)
        checkpoint.write_torch(self.path("in.pt"), tensors)

    def with_number(self, stem, name, index, value):
        def change(tensors):
            shape, data = tensors[name]
            data = bytearray(data)
            struct.pack_into("<f", data, 4 * index, value)
            tensors[name] = shape, bytes(data)
        self.changed(stem, change)

    def test_the_unchanged_copy_is_taken(self):
        """Otherwise the refusals below would prove nothing."""
        for program, (stem, args) in CONVERTERS.items():
            self.changed(stem, lambda tensors: None)
            self.succeed(program, "--force", *args(
                "in.pt", FIXTURES / f"{stem}.txt", "out.pt"))

    def test_tensors_that_do_not_fit(self):
        def missing(tensors):
            del tensors[last]

        def extra(tensors):
            tensors["stray.weight"] = checkpoint.tensor((2,), [1, 2])

        def shape(tensors):
            tensors[last] = checkpoint.tensor((3, 7), [0] * 21)

        def two_faults(tensors):
            missing(tensors)
            extra(tensors)

        for program, (stem, args) in CONVERTERS.items():
            last = list(checkpoint.read_torch(FIXTURES / f"{stem}.pt"))[-2]
            for change, words in (
                    (missing, [f"missing {last}"]),
                    (extra, ["unexpected stray.weight [2]"]),
                    (shape, [f"{last}: expected shape", "got [3, 7]"]),
                    (two_faults, [f"missing {last}", "unexpected stray"])):
                with self.subTest(program=program, change=change.__name__):
                    self.changed(stem, change)
                    for arch, status in ((("--arch", FIXTURES / f"{stem}.txt"),
                                          USAGE), ((), UNSUPPORTED)):
                        found = args("in.pt", "", "out.pt")[2:]
                        told = words if arch else ["--arch"]
                        self.refuse(status, ["in.pt: ", *told], program,
                                    *arch, *found)

    def test_the_wrong_architecture(self):
        for program, (stem, args) in CONVERTERS.items():
            other = "net1" if stem == "small_net" else "small_net"
            source = self.fixture(f"{stem}.pt").name
            for arch in (FIXTURES / f"{other}.txt", "AlexNet"):
                self.refuse(USAGE, [f"{source}: ", " tensors match; ",
                                    "unexpected"], program, *args(source, arch, "out.pt"))
            self.write("no.txt", b"<html>")
            self.refuse(DAMAGED, ["no.txt: line 1"], program,
                        *args(source, "no.txt", "out.pt"))
            self.refuse(SYSTEM, ["none.txt: "], program,
                        *args(source, "none.txt", "out.pt"))
            self.refuse(USAGE, [f"{source}: ", "layer"], program, "--input",
                        "3x99x98", *args(source, FIXTURES / f"{stem}.txt",
                                         "out.pt"))
            self.refuse(USAGE, [f"{source}: ", "'nothing'"], program, "--key",
                        "nothing", *args(source, FIXTURES / f"{stem}.txt",
                                         "out.pt"))

    def test_nothing_to_convert(self):
        for program, (stem, args) in CONVERTERS.items():
            arch = FIXTURES / f"{stem}.txt"
            self.fixture(f"{stem}.pt")
            done = f"{program}.bin"
            self.succeed(program, *args(f"{stem}.pt", arch, done))
            self.refuse(UNSUPPORTED, [f"{done}: ", "nothing to rewrite"],
                        program, *args(done, arch, "out.pt")[2:])

    def test_numbers_that_no_trained_network_has(self):
        rows = (
            ("bnfuse", "conv1.0.weight", [], ["layer conv1.0"]),
            ("bnfuse", "conv1.1.running_mean", [], ["layer conv1.1"]),
            ("bnfuse", "fc2.0.weight", [], ["fc2.0.weight", "element 2"]),
            ("bnfuse", "conv1.0.weight", ["--fold", "epilogue"],
             ["conv1.0.weight", "element 2"]),
            ("lnin-convert", "features.0.weight", [],
             ["features.0.weight", "element 2"]),
            ("lnin-convert", "classifier.0.weight", [],
             ["classifier.0.weight", "element 2"]),
        )
        for program, name, options, words in rows:
            stem, args = CONVERTERS[program]
            for value in (math.nan, math.inf, -math.inf):
                with self.subTest(program=program, tensor=name, value=value):
                    self.with_number(stem, name, 2, value)
                    self.refuse(DAMAGED, ["in.pt: ", *words], program,
                                *options,
                                *args("in.pt", FIXTURES / f"{stem}.txt",
                                      "out.pt"))

    def test_negative_variance(self):
        stem, args = CONVERTERS["bnfuse"]
        self.with_number(stem, "conv2.1.running_var", 1, -0.25)
        for fold in ("weights", "epilogue"):
            self.refuse(DAMAGED, ["in.pt: ", "conv2.1", "running_var[1]",
                                  "-0.25"], "bnfuse", "--fold", fold,
                        *args("in.pt", FIXTURES / f"{stem}.txt", "out.pt"))

    def test_images_that_are_none(self):
        self.write("short.bin", bytes(3072))
        self.write("images.bin", bytes(3073))
        self.fixture("small_net.pt")
        arguments = CONVERTERS["bnfuse"][1](
            "small_net.pt", FIXTURES / "small_net.txt", "out.pt")
        for name, status, words in (
                ("short.bin", DAMAGED, ["short.bin: ", "3073"]),
                ("none.bin", SYSTEM, ["none.bin: ", "cannot open"]),
                # The fixture's network takes 3x8x8 images, not CIFAR-10's.
                ("images.bin", USAGE, ["small_net.pt: ", "layer fc1.0"])):
            self.refuse(status, words, "bnfuse", "--data", name, *arguments)


def limited(size):
    """Lets a program write no file that is larger."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


class BadTargets(ProgramTest):
    """Outputs that cannot be written, or must not be."""

    def each(self):
        for program, (stem, args) in CONVERTERS.items():
            self.fixture(f"{stem}.pt")
            yield program, lambda target: args(
                f"{stem}.pt", FIXTURES / f"{stem}.txt", target), f"{stem}.pt"

    def test_targets_that_are_no_file(self):
        self.path("folder.pt").mkdir()
        self.write("file", b"x")
        self.path("loop.pt").symlink_to("loop.pt")
        for program, args, _ in self.each():
            for target in ("none/out.pt", "file/out.pt", "folder.pt",
                           "loop.pt", "/proc/out.pt"):
                self.refuse(SYSTEM, [f"{target}: "], program, *args(target))
            for target in ("out", "out.txt", ".pt/", "out.PT", "/dev/full"):
                self.refuse(USAGE, [f"{target}: ", ".safetensors"], program,
                            *args(target))

    def test_the_input_is_never_the_target(self):
        for program, args, source in self.each():
            for path in self.folder.glob("link*"):
                path.unlink()
            self.path("link.pt").symlink_to(source)
            self.path("link2.pt").symlink_to("link.pt")
            self.path("link3.pt").hardlink_to(self.path(source))
            for target in (source, f"./{source}", self.path(source),
                           "link.pt", "link2.pt", "link3.pt"):
                for force in ([], ["--force"]):
                    self.refuse(USAGE, [f"{target}: ", "input"], program,
                                *force, *args(target))

    def test_an_old_target_needs_a_word(self):
        self.write("old.pt", b"old")
        self.path("link.pt").symlink_to("old.pt")
        for program, args, source in self.each():
            for target in ("old.pt", "link.pt"):
                self.refuse(USAGE, [f"{target}: ", "exists", "--force"],
                            program, *args(target))
            self.refuse(USAGE, ["old.pt: ", "exists", "--force"], "ptfold",
                        "convert", source, "old.pt")
            self.succeed(program, "--force", *args("link.pt"))
            self.assertTrue(self.path("link.pt").is_symlink())
            self.assertNotEqual(self.write_back("old.pt", b"old"), b"old")
        # The name that nobody gave is no exception.
        arch = FIXTURES / "net1.txt"
        self.succeed("lnin-convert", "--arch", arch, "net1.pt")
        self.refuse(USAGE, ["net1.net2.pt: ", "--force"], "lnin-convert",
                    "--arch", arch, "net1.pt")

    def write_back(self, name, data):
        """What the file holds; afterwards it holds 'data'."""
        found = self.path(name).read_bytes()
        self.write(name, data)
        return found

    def test_old_reports_and_pictures_need_a_word(self):
        self.fixture("small_net.pt")
        self.write("old.xml", b"old")
        self.write("old.png", b"old")
        self.write("old.pt", b"old")
        self.write("a.ppm", b"P6 8 8 255\n" + bytes(192))
        net = ["--arch", FIXTURES / "small_net.txt", "small_net.pt"]
        for target, *args in (
                ("old.xml", "check", *net, "small_net.pt", "--arch-b",
                 FIXTURES / "small_net.txt", "--junit", "old.xml"),
                ("old.pt", "grad", *net, "a.ppm", "-o", "old.pt"),
                ("old.png", "grad", *net, "a.ppm", "--saliency", "old.png"),
                ("old.pt", "run", *net, "a.ppm", "--npy", "old.pt")):
            self.refuse(USAGE, [f"{target}: ", "exists", "--force"], "ptfold",
                        *args)
            self.succeed("ptfold", *args, "--force")
            self.assertNotEqual(self.write_back(target, b"old"), b"old")
        for args in (("check", *net, "small_net.pt", "--junit"),
                     ("grad", *net, "a.ppm", "--saliency"),
                     ("run", *net, "a.ppm", "--npy")):
            self.refuse(USAGE, ["small_net.pt: ", "the input itself"],
                        "ptfold", *args, "small_net.pt", "--force")
        self.refuse(USAGE, ["a.ppm: ", "the input itself"], "ptfold", "run",
                    *net, "a.ppm", "--npy", "a.ppm", "--force")

    def all_kinds(self):
        """Files for every option; the options that name the network."""
        for name in ("small_net.pt", "small_net.txt", "net1.pt"):
            self.fixture(name)
        picture = b"P6 8 8 255\n" + bytes(192)
        self.write("d.ppm", picture)
        self.write("labels", b"cat\ndog\n")
        self.path("imgs/cat").mkdir(parents=True)
        self.write("imgs/x.ppm", picture)
        self.path("imgs/cat/y.ppm").write_bytes(picture)
        self.path("imgs/link.ppm").symlink_to("../d.ppm")
        return ["--arch", "small_net.txt", "small_net.pt"]

    def test_no_file_that_is_read_is_a_target(self):
        net = self.all_kinds()
        self.fixture("small_net.txt").rename(self.path("arch.bin"))
        self.fixture("small_net.txt")
        check = ["check", *net, "small_net.pt", "--arch-b", "arch.bin"]
        self.path("data.bin").hardlink_to(self.path("d.ppm"))
        arch = ["--arch", "arch.bin", "small_net.pt"]
        for target, program, *args in (
                ("d.ppm", "ptfold", *check, "--data", "d.ppm",
                 "--enclosures"),
                ("imgs/x.ppm", "ptfold", *check, "--data", "imgs", "--junit"),
                ("small_net.txt", "ptfold", *check, "--junit"),
                ("arch.bin", "ptfold", *check, "--junit"),
                ("labels", "ptfold", "run", *net, "d.ppm", "--labels",
                 "labels", "--npy"),
                ("small_net.txt", "ptfold", "run", *net, "d.ppm", "--npy"),
                ("imgs/x.ppm", "ptfold", "run", *net, "imgs", "--npy"),
                ("imgs/cat/y.ppm", "ptfold", "run", *net, "imgs/", "--map"),
                ("d.ppm", "ptfold", "run", *net, "imgs", "--npy"),
                ("arch.bin", "ptfold", "grad", *arch, "d.ppm", "-o"),
                ("arch.bin", "bnfuse", *arch),
                ("data.bin", "bnfuse", *net, "--data", "d.ppm"),
                ("arch.bin", "lnin-convert", "--arch", "arch.bin", "net1.pt",
                 "-o")):
            with self.subTest(program=program, args=args, target=target):
                self.refuse(USAGE, [f"{target}: the output is ", "input"],
                            program, *args, target, "--force")

    def test_two_outputs_are_two_files(self):
        net = self.all_kinds()
        self.write("old.png", b"old")
        self.path("link.png").symlink_to("old.png")
        check = ["check", *net, "small_net.pt", "--arch-b", "small_net.txt"]
        for first, second, *args in (
                ("--junit", "--enclosures", *check),
                ("-o", "--saliency", "grad", *net, "d.ppm"),
                ("--npy", "--map", "run", *net, "d.ppm")):
            for target in ("new.png", "old.png", "link.png"):
                other = "old.png" if target == "link.png" else target
                self.refuse(USAGE, ["png: two outputs are the same file"],
                            "ptfold", *args, first, target, second, other,
                            "--force")

    def test_an_old_target_stays_when_nothing_is_written(self):
        self.write("out.pt", b"old")
        for program, args, source in self.each():
            data = bytearray(self.path(source).read_bytes())
            self.write(source, data[:-1])
            self.refuse(DAMAGED, [f"{source}: "], program, "--force",
                        *args("out.pt"))

    def test_a_report_is_replaced_as_a_whole(self):
        """What was there stays when the disk is full."""
        net = self.all_kinds()
        self.succeed("bnfuse", *net, "folded.bin")
        self.write("old.txt", b"old")
        for option in ("--junit", "--enclosures"):
            args = ("check", *net, "folded.bin", "--random", "64",
                    "--require", "bitwise", "--force", option)
            for target in ("old.txt", "new.txt"):
                self.refuse(SYSTEM, [f"{target}: ", "cannot write"], "ptfold",
                            *args, target, preexec_fn=limited(1024))
            self.refuse(SYSTEM, ["none/x: "], "ptfold", *args, "none/x")

    def test_a_file_size_limit(self):
        """As a full disk: the signal must not kill, and nothing stays."""
        for program, args, _ in self.each():
            for ending in (".pt", ".bin"):
                target = f"out{ending}"
                # LLVM's OpenMP needs 1,024 bytes for a file of its own.
                for size in (1024, 1025, 4096, 5000):
                    self.refuse(SYSTEM, [f"{target}: ", "cannot write"],
                                program, *args(target),
                                preexec_fn=limited(size))


MS_RDONLY, MNT_DETACH = 1, 2


class BadDisks(ProgramTest):
    """File systems that are full or cannot be written; only root has some."""

    def mount(self, options, flags=0):
        """A small file system in the folder "disk"."""
        libc = ctypes.CDLL(None, use_errno=True)
        disk = self.path("disk")
        disk.mkdir()
        if libc.mount(b"none", os.fsencode(disk), b"tmpfs", flags,
                      options) != 0:
            self.skipTest(
                f"no tmpfs here: {os.strerror(ctypes.get_errno())}")
        self.addCleanup(libc.umount2, os.fsencode(disk), MNT_DETACH)

    def refuse_disk(self, reason):
        for program, (stem, args) in CONVERTERS.items():
            for ending in (".pt", ".bin"):
                target = f"disk/out{ending}"
                self.refuse(SYSTEM, [f"{target}: ", reason], program,
                            *args(FIXTURES / f"{stem}.pt",
                                  FIXTURES / f"{stem}.txt", target))

    def test_a_full_disk(self):
        self.mount(b"size=4096")
        self.refuse_disk("No space left")

    def test_a_read_only_disk(self):
        self.mount(b"size=4096", MS_RDONLY)
        self.refuse_disk("Read-only file system")

    def test_a_folder_without_permission(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        self.path("disk").mkdir(0o555)
        self.refuse_disk("Permission denied")

    def test_standard_output_on_a_full_disk(self):
        """The report is a result too: losing it is no success."""
        self.fixture("small_net.pt")
        with open("/dev/full", "wb") as full:
            done = self.run_program("ptfold", "info", "small_net.pt",
                                    stdout=full)
        self.assertEqual(done.returncode, SYSTEM)
        self.assertRegex(done.stderr, rb"\Aptfold: stdout: [^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
