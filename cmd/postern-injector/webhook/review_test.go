package webhook

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever the lists of a pod hold, what is kept of them is one owner and one bit.
func TestHeadOfAPodKeepsOneOwner(t *testing.T) {
	t.Parallel()
	const wanted = `{"kind":"ReplicaSet","name":"web","controller":true}`
	for text, want := range map[string]struct {
		owner  string
		mirror bool
		wrong  bool
	}{
		`{}`: {},
		`{"metadata":{"ownerReferences":null,"annotations":null}}`:                                                                 {},
		`{"metadata":{"ownerReferences":[],"annotations":{}}}`:                                                                     {},
		`{"metadata":{"ownerReferences":[` + strings.Repeat(`{},`, 100_000) + wanted + `,{"name":"later","controller":true}]}}`:    {owner: "web"},
		`{"metadata":{"ownerReferences":[{"name":"` + strings.Repeat("a", 1000) + `","controller":true},` + wanted + `]}}`:         {owner: "web"},
		`{"metadata":{"annotations":{"a":"kubernetes.io/config.mirror"},"ownerReferences":[{"name":"other","controller":false}]}}`: {},
		`{"metadata":{"annotations":{"a":"b","kubernetes.io\/config.mirro\u0072":""}}}`:                                            {mirror: true},
		`{"metadata":{"annotations":{"a":1}}}`:                                                                                     {wrong: true},
		`{"metadata":{"annotations":[]}}`:                                                                                          {wrong: true},
		`{"metadata":{"annotations":"a"}}`:                                                                                         {wrong: true},
		`{"metadata":{"ownerReferences":{}}}`:                                                                                      {wrong: true},
		`{"metadata":{"ownerReferences":[1]}}`:                                                                                     {wrong: true},
	} {
		var head podHead
		err := json.Unmarshal([]byte(text), &head)
		if (err != nil) != want.wrong || !want.wrong && (head.Metadata.Controller.Name != want.owner || bool(head.Metadata.Annotations) != want.mirror) {
			t.Errorf("%.100s: %v, %+v", text, err, head)
		}
	}
}
