package tool

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// newCensor returns what takes secrets out of a text: as they are, and as tools
// write what they were sent, in JSON, in a URL or in base64.
func newCensor(secrets []string) *strings.Replacer {
	var all []string
	for _, s := range secrets {
		for _, text := range append(inBase64(s), s) {
			all = append(all, escaped(text)...)
		}
	}
	// The longest first: of two that begin alike the shorter one would leave a part
	// of the other.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, text := range slices.Compact(all) {
		pairs = append(pairs, text, "(secret)")
	}
	return strings.NewReplacer(pairs...)
}

var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

// escaped returns a text as it stands by itself, in JSON and in URLs.
func escaped(text string) []string {
	plain, _ := jsontext.AppendQuote(nil, text)
	var html bytes.Buffer
	json.HTMLEscape(&html, plain)
	forms := []string{
		text, unquoted(plain), unquoted(html.Bytes()),
		strings.ReplaceAll(unquoted(plain), "/", `\/`), // PHP
		url.QueryEscape(text), url.PathEscape(text),
	}
	for _, f := range forms[4:] {
		forms = append(forms, percent.ReplaceAllStringFunc(f, strings.ToLower))
	}
	return forms
}

func unquoted(text []byte) string { return string(text[1 : len(text)-1]) }

// leastBase64 bounds what is taken for a secret in base64: less would be found in
// what is none.
const leastBase64 = 6

// inBase64 returns what a secret comes to within a longer text in base64, which
// depends on how many bytes stand before it. The letters in which it shares bits
// with what stands round it are left out, so some bits of its ends may be seen.
func inBase64(secret string) []string {
	var forms []string
	for before := range 3 {
		text := append(make([]byte, before), secret...)
		from, to := (before*8+5)/6, len(text)*8/6
		if to-from < leastBase64 {
			continue
		}
		forms = append(forms,
			base64.StdEncoding.EncodeToString(text)[from:to],
			base64.URLEncoding.EncodeToString(text)[from:to])
	}
	return forms
}
