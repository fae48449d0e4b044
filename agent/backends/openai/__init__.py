"""Models on servers that speak OpenAI's chat protocol: llama.cpp, vLLM, LM Studio, hosted ones."""
