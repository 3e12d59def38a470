package schema

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestNamesAreForgotten(t *testing.T) {
	var n names
	of := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	for i := range 5 * mostNames {
		if n.has(of(i)) {
			t.Fatalf("%d was never added", i)
		}
		n.add(of(i))
		if !n.has(of(0)) || !n.has(of(max(0, i-mostNames/4))) {
			t.Fatalf("after %d, what was met lately is forgotten", i)
		}
		if len(n.young) > mostNames || len(n.old) > mostNames {
			t.Fatalf("%d and %d names are kept", len(n.young), len(n.old))
		}
	}
	if n.has(of(1)) {
		t.Error("what nobody met is kept")
	}
}

// What is wrong with a schema is told each time.
func TestOnlyGoodOnesPass(t *testing.T) {
	bad, good := []byte(`{"type":"nothing","$comment":"passed"}`), []byte(`{"type":"object","$comment":"passed"}`)
	for range 3 {
		if Check(bad) == nil {
			t.Error("a bad schema passes")
		}
		if err := Check(good); err != nil {
			t.Error(err)
		}
	}
	if !passed.has(sha256.Sum256(good)) || passed.has(sha256.Sum256(bad)) {
		t.Error("the wrong ones are remembered")
	}
}
