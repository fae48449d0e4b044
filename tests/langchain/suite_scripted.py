"""LangChain's public suites on ChatGemma, whose model plays a part."""

from types import SimpleNamespace

import played
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models
from langchain_tests.unit_tests import ChatModelUnitTests
from promised import Promised

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(20)


class TestUnit(Promised, ChatModelUnitTests):
    @property
    def chat_model_params(self):
        return {"model": "ollama:gemma3:4b"}

    @property
    def init_from_env_params(self):
        described = {
            "model": "gemma3:4b on Ollama at http://127.0.0.1:9",
            "notation": "function_call",
            "transport": "chat",
            "context": 8192,
            "max_tokens": 2048,
            "sampling": {},
            "thinking": None,
            "stop": None,
        }
        return {"OLLAMA_HOST": "127.0.0.1:9"}, self.chat_model_params, {"_identifying_params": described}


class TestPlayed(Promised, ChatModelIntegrationTests):
    model_override_value = "gemma3:12b"
    supports_json_mode = True
    supports_image_inputs = True

    @pytest.fixture(autouse=True)
    def _pictures_are_not_fetched(self, monkeypatch):
        fetched = SimpleNamespace(get=lambda url, timeout: SimpleNamespace(content=PICTURE))
        monkeypatch.setattr(chat_models, "httpx", fetched)

    @property
    def chat_model_params(self):
        return {"model": f"{played.NAME}:gemma3:4b"}
