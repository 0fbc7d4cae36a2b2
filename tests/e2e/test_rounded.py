"""Parameters of float64 that float32 does not hold: every report says so.

SPDX-License-Identifier: Apache-2.0
"""
import json
import struct
import unittest

from programs import EQUIVALENT, ProgramTest

TEXT = """# input: 2x3x3
Sequential(
  (0): Conv2d(2, 2, kernel_size=(1, 1), stride=(1, 1), bias=False)
  (1): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, \
track_running_stats=True)
)
"""


class Rounded(ProgramTest):
    def net(self, third):
        """A state dict of float64, in which one number may need 53 bits."""
        tensors = {"0.weight": [1.0, -2.0, 0.5, third],
                   "1.weight": [1.0, 2.0], "1.bias": [0.25, 0.0],
                   "1.running_mean": [0.5, 0.0], "1.running_var": [1.0, 4.0]}
        header, body = {}, b""
        for name, numbers in tensors.items():
            data = struct.pack(f"<{len(numbers)}d", *numbers)
            shape = [2, 2, 1, 1] if name == "0.weight" else [2]
            header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [
                len(body), len(body) + len(data)]}
            body += data
        text = json.dumps(header).encode()
        self.write("net.txt", TEXT.encode())
        self.write("net.safetensors", struct.pack("<Q", len(text)) + text + body)
        return "--arch", "net.txt", "net.safetensors"

    def text_of(self, program, *args):
        done = self.run_program(program, *args)
        self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def test_numbers_that_float32_has_are_no_news(self):
        net = self.net(0.75)
        for args in (("bnfuse", *net, "o.safetensors"),
                     ("ptfold", "info", "net.safetensors")):
            text = self.succeed(*args)
            self.assertNotIn("float64 to float32", text)
            self.assertNotIn("rounded to", text)

    def test_others_are_counted_and_the_first_is_named(self):
        net = self.net(1 / 3)
        note = ("note: net.safetensors: 1 tensor of float64 is rounded to "
                "float32, the first: '0.weight'\n")
        text, err = self.text_of("bnfuse", *net, "o.safetensors")
        self.assertIn(note, err)
        self.assertIn("  rounded to float32    1 tensor of float64, the first: "
                      "0.weight\n", text)
        text, err = self.text_of("ptfold", "check", "--arch-b", "net.txt",
                                 *net, "net.safetensors")
        self.assertIn("rounded             1 of float64 to float32, the first: "
                      "0.weight\n", text)
        self.assertEqual(err.count(note), 2)
        text, _ = self.text_of("ptfold", "info", "net.safetensors")
        self.assertIn("a network rounds 1 of float64 to float32, the first: "
                      "0.weight\n", text)

    def test_json_says_so_too(self):
        net = self.net(1 / 3)
        said = {"count": 1, "first": "0.weight"}
        for args in (("bnfuse", "--json", *net, "o.safetensors"),
                     ("bnfuse", "--json", "--no-check", *net,
                      "p.safetensors")):
            text, _ = self.text_of(*args)
            self.assertEqual(json.loads(text)["rounded_to_float32"], said)
        text, _ = self.text_of("ptfold", "check", "--json", "--arch-b",
                               "net.txt", *net, "net.safetensors")
        evidence = json.loads(text)["evidence"]
        self.assertEqual(evidence["a_rounded_to_float32"], said)
        self.assertEqual(evidence["b_rounded_to_float32"], said)
        text, _ = self.text_of("ptfold", "info", "--json", "net.safetensors")
        report = json.loads(text)
        self.assertEqual((report["rounded_to_float32"],
                          report["first_rounded"]), (1, "0.weight"))


if __name__ == "__main__":
    unittest.main()
