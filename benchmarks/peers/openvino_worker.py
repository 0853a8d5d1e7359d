"""OpenVINO beside us: reads a task a line from standard input, answers with seconds a line.

usage: openvino_worker.py FOLDER THREADS default|f32      needs openvino-genai

FOLDER is what "optimum-cli export openvino" writes of a language model (see language_model.py). Tasks: "prefill TOKENS" (to the first token: logits of the last
position), "decode CONTEXT STEPS" (seconds of a step, the median). f32: the type that activations are computed in; default: what OpenVINO takes on this processor.
Weights are packed in the first inference, so each task is run once before it is timed; every prompt is new, since prefixes are cached.
"""
import random
import statistics
import sys

import numpy
import openvino
import openvino_genai


class Worker:
    def __init__(self, folder, threads, precision):
        # The count is given: the default counts cores as OpenVINO sees them, not those this process may use.
        settings = {"INFERENCE_NUM_THREADS": threads} | ({} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision})
        self.pipeline = openvino_genai.LLMPipeline(folder, "CPU", **settings)
        self.draw = random.Random(0)
        self.warm = set()

    def generate(self, tokens, steps):
        ids = numpy.array([[self.draw.randrange(1000, 40000) for _ in range(tokens)]], dtype=numpy.int64)
        prompt = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
        settings = openvino_genai.GenerationConfig(max_new_tokens=steps, ignore_eos=True, do_sample=False)
        return self.pipeline.generate(prompt, settings).perf_metrics

    def run(self, line, work):
        if line not in self.warm:
            self.warm.add(line)
            work()
        return work()

    def prefill(self, line, tokens):
        return self.run(line, lambda: self.generate(int(tokens), 1).get_ttft().mean / 1e3)

    def decode(self, line, context, steps):
        # The first duration is the prefill's.
        return self.run(line, lambda: statistics.median(float(x) / 1e6 for x in self.generate(int(context), int(steps) + 1).raw_metrics.m_durations[1:]))


def main():
    worker = Worker(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    print("ready", flush=True)
    for line in sys.stdin:
        name, *arguments = line.split()
        print(getattr(worker, name)(line, *arguments), flush=True)


if __name__ == "__main__":
    main()
