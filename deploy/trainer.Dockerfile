# Training of models as a job: `docker build -f deploy/trainer.Dockerfile -t trainer .`, see docs/how-to/vertex-ai.md.
FROM python:3.11-slim

# LightGBM and scikit-learn compute with OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir '.[ml]'

# Not root, and in a folder of its own: `clarion.toml`, with the stores' URLs and the master key, is read from here.
RUN useradd --create-home clarion
USER clarion
WORKDIR /home/clarion
ENTRYPOINT ["clarion"]
