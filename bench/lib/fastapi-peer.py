"""The peer of bench/predict-http.ts: FastAPI and ONNX Runtime, one process, as their tutorials have it."""

import sys
from typing import List

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
app = FastAPI()


@app.post("/predict")
def predict(rows: List[List[float]]):
    (answer,) = session.run(None, {"x": numpy.array(rows, dtype=numpy.float32)})
    return {"predictions": answer[:, 0].tolist()}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
