package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// fetchWithin bounds how long all images of a request may take to come.
const fetchWithin = 20 * time.Second

// attachments reads the images of a request: those that it holds, and then, if
// nothing else is wrong with it, those that it names.
func (a *acceptance) attachments(ctx context.Context, fetcher Fetcher, spec *orchestration.Spec) [][]byte {
	images := make([][]byte, len(a.request.Attachments))
	left := maxImages
	for i, r := range a.request.Attachments {
		at := fmt.Sprintf("/attachments/%d", i)
		switch {
		case (r.Url == "") == (r.Data == ""):
			a.add(codeInvalidRequest, at, "ambiguous", "must have exactly one of url and data")
		case r.Data != "":
			data, err := base64.StdEncoding.DecodeString(r.Data)
			if err != nil {
				a.add(codeInvalidRequest, at+"/data", "invalid_base64", "must be base64")
				continue
			}
			if left -= len(data); left < 0 {
				a.add(codeInvalidRequest, at+"/data", "too_large", "the images must have at most 10 MB in all")
				continue
			}
			images[i] = data
		case fetcher == nil:
			a.add(codeInvalidRequest, at+"/url", "not_allowed", "this server fetches no images")
		case !strings.HasPrefix(r.Url, "https://"):
			a.add(codeInvalidRequest, at+"/url", "not_allowed", "must be an https address")
		}
	}
	if len(a.faults) == 0 {
		a.fetch(ctx, fetcher, images, left)
	}
	for i, r := range a.request.Attachments {
		if images[i] != nil {
			spec.Attachments = append(spec.Attachments, a.image(r, images[i], fmt.Sprintf("/attachments/%d", i)))
		}
	}
	return images
}

func (a *acceptance) fetch(ctx context.Context, fetcher Fetcher, images [][]byte, left int) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	for i, r := range a.request.Attachments {
		if r.Url == "" {
			continue
		}
		data, err := fetcher.Fetch(ctx, r.Url, left)
		if err != nil {
			// Why is not for the caller: it would show what this server can reach.
			a.add(codeInvalidRequest, fmt.Sprintf("/attachments/%d/url", i), "not_fetched",
				"could not be fetched: it must be an https address on the public internet that answers with an image, 10 MB in all")
			continue
		}
		images[i] = data
		left -= len(data)
	}
}

// image checks that the bytes are an image, and the one that they claim to be.
func (a *acceptance) image(r AttachmentRequest, data []byte, at string) orchestration.Attachment {
	found := http.DetectContentType(data)
	switch found {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
	default:
		a.add(codeInvalidRequest, at, "not_an_image", "must be a PNG, JPEG, GIF or WebP image")
	}
	if r.MediaType != "" && !strings.EqualFold(r.MediaType, found) {
		a.add(codeInvalidRequest, at+"/media_type", "wrong_type", "the bytes are %s", found)
	}
	return orchestration.Attachment{Name: r.Name, MediaType: found, Bytes: len(data)}
}
