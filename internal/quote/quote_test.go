package quote

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

var anyText = rapid.OneOf(
	rapid.String(),
	rapid.StringOf(rapid.RuneFrom([]rune("\"\\/<>&\n\r\t\b\f\x00\x1f\x7f\u2028\u2029é日🙂 a"))),
	rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
)

func TestAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(anyText, 0, 4).Draw(t, "texts"), rapid.SampledFrom([]string{"", "x", "0123456"}).Draw(t, "between"))
		want, _ := jsontext.AppendQuote([]byte("before"), text)
		if got := Append([]byte("before"), text); !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
	for c := range 256 { // each byte in each place of a word, beside each kind of neighbor
		for at := range 9 {
			for _, other := range []string{"a", "\x00", "\"", "\\", "!", "é"} {
				text := strings.Repeat(other, at) + string([]byte{byte(c)}) + strings.Repeat(other, 9)
				want, _ := jsontext.AppendQuote(nil, text)
				if got := Append(nil, text); !bytes.Equal(got, want) {
					t.Fatalf("%q: got %s, want %s", text, got, want)
				}
			}
		}
	}
}

// BenchmarkAppend compares it with the library's.
func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"prose": strings.Repeat("A line of prose, as models write it: \"quoted\", and ended.\n", 350), "json": strings.Repeat(`{"id":"T1","depends_on":[]},`+"\n", 700), "foreign": strings.Repeat("Ζαφείρι, 日本語の文章。\n", 500),
	} {
		b.Run(name, func(b *testing.B) {
			to := make([]byte, 0, 2*len(text))
			var ours, theirs time.Duration
			for b.Loop() {
				start := time.Now()
				Append(to, text)
				middle := time.Now()
				_, _ = jsontext.AppendQuote(to, text)
				ours, theirs = ours+middle.Sub(start), theirs+time.Since(middle)
			}
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}
