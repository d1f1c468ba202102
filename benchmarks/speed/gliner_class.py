"""GLiNER's class of model: random weights, the shape of DeBERTa-v3-small, MiniLM's tokenizer, four labels, threshold 1.

Runs where `gliner` is installed. Each line of input is a list of texts; each line of output that begins with "took" says
how many seconds, by the clock and of the processor, reading them took.
"""

import json
import sys
import tempfile
import time

import torch
from gliner import GLiNER, GLiNERConfig
from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

LABELS = ["positive opinion", "defect", "price", "praised quality"]


def make_model(tokenizer_folder: str) -> GLiNER:
    folder = tempfile.mkdtemp()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    shape = DebertaV2Config(
        vocab_size=128100, hidden_size=768, num_hidden_layers=6, num_attention_heads=12, intermediate_size=3072,
        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type="p2c|c2p", max_relative_positions=-1, position_biased_input=False, type_vocab_size=0,
    )  # fmt: skip
    DebertaV2Model(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = GLiNERConfig(model_name=folder, max_len=384, hidden_size=512, max_width=12)
    return GLiNER.from_config(config).eval() if hasattr(GLiNER, "from_config") else GLiNER(config).eval()


def main() -> None:
    torch.set_num_threads(int(sys.argv[2]))
    model = make_model(sys.argv[1])
    predict = getattr(model, "inference", None) or model.batch_predict_entities
    for line in sys.stdin:
        texts = sorted(json.loads(line), key=len)
        start, used = time.perf_counter(), time.process_time()
        with torch.no_grad():
            for i in range(0, len(texts), 8):
                predict(texts[i : i + 8], LABELS, threshold=1.0)
        print("took", json.dumps([time.perf_counter() - start, time.process_time() - used]), flush=True)


if __name__ == "__main__":
    main()
