import torch
from test_adversaries import *


def test_probe(photographs):
    for method in ("mochi","simclr","simsiam"):
        learner, batch = make(Part("learned"), Part("blur",{}), method), make_batch(photographs)
        ascend = torch.optim.SGD(learner.adversary.parameters(), lr=0.01, maximize=True)
        for i in range(10):
            o=learner(batch); p=o.params["second*"]
            print(method, i, float(signal(learner,batch,p)), p.flatten().tolist())
            o.loss.backward(); print("   grad", [float(q.grad.norm()) for q in learner.adversary.parameters()])
            ascend.step(); ascend.zero_grad()
