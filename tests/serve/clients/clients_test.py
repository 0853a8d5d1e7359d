"""Clients of other projects against `videollama3 serve`, each skipped where it is not installed.

    python3 clients_test.py [-v] [OpenAi | LiteLlm | LangChain | Llm | LmEval]

scripts/client_tests installs them in a virtual environment and runs this.
"""
import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from served import KEY, PATIENCE_S, PROJECT, Served, picture

SHAPE = {"type": "object", "properties": {"colour": {"enum": ["red", "blue", "green"]},
                                          "count": {"type": "integer", "minimum": 0, "maximum": 20}},
         "required": ["colour", "count"], "additionalProperties": False}


# It would fetch a list of prices from elsewhere.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def needs(package):
    return unittest.skipUnless(importlib.util.find_spec(package), f"the package {package} is not installed")


def about_picture(text):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture()}},
                                         {"type": "text", "text": text}]}]


def hello(text="hello"):
    return [{"role": "user", "content": text}]


class Clients(Served):
    def check_shape(self, text):
        value = json.loads(text)
        self.assertEqual(set(value), {"colour", "count"})
        self.assertIn(value["colour"], ["red", "blue", "green"])
        self.assertIn(value["count"], range(21))

    def told_by_program(self, question, *arguments):
        return self.run_program("run", str(PROJECT / "models/demo"), question, *arguments).removesuffix("\n")


@needs("openai")
class OpenAi(Clients):
    def setUp(self):
        import openai
        self.openai = openai
        self.client = openai.OpenAI(base_url=self.api, api_key=KEY, max_retries=0)

    def chat(self, messages, **options):
        options = {"max_tokens": 60, "temperature": 0, **options}
        return self.client.chat.completions.create(model=self.model, messages=messages, **options)

    def test_answers_about_a_picture_as_the_program_does(self):
        told = self.told_by_program("What is in the picture?", "--image",
                                    str(PROJECT / "examples/media/shapes.png"), "--max-new-tokens", "60")
        reply = self.chat(about_picture("What is in the picture?"))
        self.assertEqual(reply.choices[0].message.content, told)
        self.assertGreater(reply.usage.prompt_tokens, 10)

    def test_a_stream_is_the_answer_in_pieces(self):
        whole = self.chat(about_picture("Describe it."))
        chunks = list(self.chat(about_picture("Describe it."), stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)

    def test_structured_output(self):
        shape = {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": SHAPE}}
        for options in ({}, {"temperature": 2, "seed": 1}):
            self.check_shape(self.chat(about_picture("Which?"), response_format=shape, **options)
                             .choices[0].message.content)
        chosen = self.chat(hello("which?"), extra_body={"structured_outputs": {"choice": ["left", "right"]}})
        self.assertIn(chosen.choices[0].message.content, ["left", "right"])

    def test_a_typed_class_gives_an_object_of_it(self):
        from pydantic import BaseModel

        class Shape(BaseModel):
            colour: str
            count: int

        reply = self.client.chat.completions.parse(model=self.model, messages=hello("one red ring"), temperature=0,
                                                   response_format=Shape, max_tokens=400)
        if reply.choices[0].finish_reason == "stop":
            self.assertIsInstance(reply.choices[0].message.parsed, Shape)

    def test_responses(self):
        reply = self.client.responses.create(model=self.model, input="hello", max_output_tokens=20, temperature=0)
        self.assertEqual(reply.output_text, self.chat(hello(), max_tokens=20).choices[0].message.content)

    def test_embeddings_and_models(self):
        self.assertIn(self.model, [model.id for model in self.client.models.list()])
        first, second = self.client.embeddings.create(model=self.model, input=["a red ring", "a blue star"]).data
        self.assertEqual(len(first.embedding), len(second.embedding))
        self.assertNotEqual(first.embedding, second.embedding)

    def test_errors_have_the_clients_classes(self):
        with self.assertRaises(self.openai.BadRequestError) as caught:
            self.chat(hello(), response_format={"type": "json_schema",
                                                "json_schema": {"name": "x", "schema": {"not": {}}}})
        self.assertIn("#/not", str(caught.exception))
        with self.assertRaises(self.openai.AuthenticationError):
            self.openai.OpenAI(base_url=self.api, api_key="wrong", max_retries=0).models.list()
        with self.assertRaises(self.openai.NotFoundError):
            self.client.chat.completions.create(model="none", messages=hello())


@needs("litellm")
class LiteLlm(Clients):
    def complete(self, **options):
        import litellm
        options = {"max_tokens": 30, "temperature": 0, **options}
        return litellm.completion(model=f"openai/{self.model}", api_base=self.api, api_key=KEY, **options)

    def test_answers_and_streams(self):
        whole = self.complete(messages=about_picture("What is it?")).choices[0].message.content
        self.assertTrue(whole)
        pieces = self.complete(messages=about_picture("What is it?"), stream=True)
        self.assertEqual("".join(piece.choices[0].delta.content or "" for piece in pieces), whole)

    def test_structured_output(self):
        reply = self.complete(messages=hello("which?"), max_tokens=60,
                              response_format={"type": "json_schema",
                                               "json_schema": {"name": "shape", "strict": True, "schema": SHAPE}})
        self.check_shape(reply.choices[0].message.content)


@needs("langchain_openai")
class LangChain(Clients):
    def model_of(self, **options):
        from langchain_openai import ChatOpenAI
        return ChatOpenAI(base_url=self.api, api_key=KEY, model=self.model, temperature=0, max_tokens=60, **options)

    def test_answers_and_streams(self):
        model = self.model_of()
        whole = model.invoke(about_picture("What is it?")).content
        self.assertTrue(whole)
        self.assertEqual("".join(piece.content for piece in model.stream(about_picture("What is it?"))), whole)

    def test_structured_output(self):
        shape = {"title": "Shape", "description": "one kind of shape", **SHAPE}
        value = self.model_of().with_structured_output(shape, method="json_schema").invoke("which?")
        self.check_shape(json.dumps(value))


@needs("llm")
class Llm(Clients):
    def test_answers(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "extra-openai-models.yaml").write_text(
                f"- model_id: served\n  model_name: {self.model}\n  api_base: {self.api}\n  api_key_name: served\n",
                encoding="utf-8")
            environment = {**os.environ, "LLM_USER_PATH": folder}
            ask = [sys.executable, "-m", "llm", "-m", "served", "--key", KEY, "-o", "temperature", "0", "-o",
                   "max_tokens", "20", "hello"]
            done = [subprocess.run([*ask, *more], env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
                    for more in ([], ["--no-stream"])]
        for one in done:
            self.assertEqual(one.returncode, 0, one.stderr)
            self.assertTrue(one.stdout.strip())
        self.assertEqual(done[0].stdout, done[1].stdout)


@needs("lm_eval")
class LmEval(Clients):
    TASK = ("task: served_arithmetic\ndataset_path: json\ndataset_kwargs:\n  data_files: {data}\n"
            "output_type: generate_until\ntest_split: train\ndoc_to_text: '{{{{question}}}}'\n"
            "doc_to_target: '{{{{answer}}}}'\ngeneration_kwargs:\n  until: ['\\n']\n  max_gen_toks: 8\n"
            "metric_list:\n  - metric: exact_match\n    aggregation: mean\n    higher_is_better: true\n")

    def test_scores_a_task(self):
        try:
            importlib.import_module("lm_eval.evaluator")
        except ImportError as error:
            self.skipTest(f"lm_eval is not whole: {error}")
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder, "rows.json")
            data.write_text("".join(json.dumps({"question": f"{i} and {i}", "answer": str(2 * i)}) + "\n"
                                    for i in range(4)), encoding="utf-8")
            pathlib.Path(folder, "served.yaml").write_text(self.TASK.format(data=data), encoding="utf-8")
            where = f"model={self.model},base_url={self.api}/chat/completions,num_concurrent=2,max_retries=1"
            done = subprocess.run(
                [sys.executable, "-m", "lm_eval", "--model", "local-chat-completions", "--model_args", where,
                 "--tasks", "served_arithmetic", "--include_path", folder, "--apply_chat_template"],
                env={**os.environ, "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "HF_HOME": folder},
                capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("exact_match", done.stdout)


if __name__ == "__main__":
    unittest.main()
