{"format":1,"nextTopic":1,"sequence":0,"groups":{"groups":[]},"transactions":{"nextProducerId":1,"transactions":[]}}
{"crc":2946096440}
