#include "media/tiff_samples.h"

#include <algorithm>
#include <cstring>

namespace vl3::media {
namespace {

constexpr int kWhiteIsZero = 0, kBlackIsZero = 1, kRgb = 2, kPalette = 3, kCmyk = 5, kYCbCr = 6, kCieLab = 8,
              kFilterArray = 32803, kLogL = 32844, kLogLuv = 32845;
constexpr int kUnsigned = 1, kSigned = 2, kFloat = 3;
constexpr int kNoCompression = 1, kJpeg = 7;
constexpr int kPremultipliedExtra = 1, kCorelExtra = 999;

bool grey_form(const TiffTags& tags, TiffForm* form) {
  form->kind = TiffForm::Kind::kGrey;
  form->inverted = tags.photometric == kWhiteIsZero;
  form->is_signed = tags.sample_format == kSigned;
  form->is_float = tags.sample_format == kFloat;
  const bool plain = tags.sample_format == kUnsigned;
  if (tags.samples == 2 && tags.bits == 8 && plain && !form->inverted && tags.extras == 1) {
    form->mode = tags.first_extra == 2 ? "LA" : "L";
    return tags.first_extra == 0 || tags.first_extra == 2;
  }
  if (tags.samples != 1 || tags.extras != 0) return false;
  switch (tags.bits) {
    case 1:
      form->mode = "1";
      return plain;
    case 2:
    case 4:
      form->mode = "L";
      return plain;
    case 8:
      form->mode = "L";
      form->is_signed = false;  // Pillow reads the same bytes
      return plain || (tags.sample_format == kSigned && !form->inverted);
    case 16:
      form->mode = form->is_signed ? "I" : tags.big_endian ? "I;16B" : "I;16";
      if (form->inverted && (!plain || tags.big_endian)) return false;
      form->inverted = false;  // not by Pillow
      return plain || form->is_signed;
    case 32:
      form->mode = form->is_float ? "F" : "I";
      if (form->inverted && !form->is_float) return false;
      form->inverted = false;
      return form->is_float || form->is_signed || (plain && !tags.big_endian);
    default:
      return false;
  }
}

bool rgb_form(const TiffTags& tags, TiffForm* form) {
  form->kind = TiffForm::Kind::kRgb;
  form->channels = 3;
  form->mode = "RGB";
  if (tags.sample_format != kUnsigned || (tags.bits != 8 && tags.bits != 16)) return false;
  if (tags.samples < 3 || tags.samples > 6) return false;
  if (tags.samples == 3) return tags.extras == 0;
  if (tags.samples > 4 && tags.bits == 16) return false;
  if (tags.samples == 4 && tags.extras == 0) {
    form->mode = "RGBA";
    return true;
  }
  if (tags.extras != tags.samples - 3) return false;
  if (tags.first_extra == 0) return true;
  form->mode = "RGBA";
  if (tags.first_extra == kPremultipliedExtra) {
    form->kind = TiffForm::Kind::kPremultiplied;
    form->channels = 4;
    return true;
  }
  return tags.first_extra == 2 || (tags.first_extra == kCorelExtra && tags.samples == 4);
}

bool find_form(const TiffTags& tags, TiffForm* form) {
  switch (tags.photometric) {
    case kWhiteIsZero:
    case kBlackIsZero:
      return grey_form(tags, form);
    case kRgb:
      return rgb_form(tags, form);
    case kPalette:
      form->kind = TiffForm::Kind::kPalette;
      form->mode = tags.samples == 2 && tags.first_extra == 2 ? "PA" : "P";
      if (tags.samples == 2)
        return tags.bits == 8 && tags.extras == 1 && (tags.first_extra == 0 || tags.first_extra == 2);
      return tags.samples == 1 && (tags.bits == 1 || tags.bits == 2 || tags.bits == 4 || tags.bits == 8);
    case kCmyk:
      form->kind = TiffForm::Kind::kCmyk;
      form->mode = "CMYK";
      form->channels = 4;
      return tags.sample_format == kUnsigned && ((tags.bits == 8 && tags.samples >= 4 && tags.samples <= 6) ||
                                                 (tags.bits == 16 && tags.samples == 4));
    case kYCbCr:
      form->kind = TiffForm::Kind::kYCbCr;
      form->mode = "RGB";
      form->jpeg_to_rgb = tags.compression == kJpeg && !tags.separate;
      form->channels = 3;
      return tags.bits == 8 && tags.samples == 3 && tags.compression != kNoCompression;
    default:
      return false;
  }
}

uint8_t clip(double value) { return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0)); }

template <class Value>
Value load(const uint8_t* bytes, int64_t index) {
  Value value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
  return value;
}

const char* photometric_name(int photometric) {
  switch (photometric) {
    case kYCbCr:
      return " (YCbCr)";
    case kCieLab:
      return " (CIE L*a*b*)";
    case kLogL:
    case kLogLuv:
      return " (LogLuv)";
    case kFilterArray:
      return " (a raw picture of a camera)";
    default:
      return "";
  }
}

}  // namespace

TiffForm tiff_form(const Source& source, const TiffTags& tags) {
  TiffForm form;
  form.bits = tags.bits;
  form.samples = tags.samples;
  form.separate = tags.separate && tags.samples > 1;
  require(find_form(tags, &form), ErrorCode::kUnsupported,
          "[{}] TIFF with photometric {}{}, {} samples of {} bits, sample format {}, {} extra samples (first "
          "{}) and compression {} is not supported: convert it to PNG first",
          source.name, tags.photometric, photometric_name(tags.photometric), tags.samples, tags.bits,
          tags.sample_format, tags.extras, tags.first_extra, tags.compression);
  return form;
}

SampleSink::SampleSink(const TiffForm& form, const Palette& palette, Image* image)
    : form_(form), palette_(palette), image_(image) {
  if (form.channels == 4) mixed_.resize(static_cast<size_t>(image->width * image->height * 4));
}

uint8_t SampleSink::sample(const uint8_t* samples, int64_t index) const {
  const bool grey = form_.kind == TiffForm::Kind::kGrey;
  uint8_t value = 0;
  switch (form_.bits) {
    case 8:
      value = samples[index];
      break;
    case 16: {
      const auto wide = load<uint16_t>(samples, index);
      if (!grey) return static_cast<uint8_t>(wide >> 8);
      return form_.is_signed ? clip(static_cast<int16_t>(wide)) : clip(wide);
    }
    case 32: {
      if (form_.is_float) {
        const auto real = load<float>(samples, index);
        return real > 0 ? clip(static_cast<double>(real)) : 0;  // not-a-number is black
      }
      return clip(load<int32_t>(samples, index));  // Pillow's "I" is signed
    }
    default: {
      const int per_byte = 8 / form_.bits, mask = (1 << form_.bits) - 1;
      const int shift = 8 - form_.bits - form_.bits * static_cast<int>(index % per_byte);
      value = static_cast<uint8_t>((samples[index / per_byte] >> shift) & mask);
      if (grey) value = static_cast<uint8_t>(value * (255 / mask));
    }
  }
  return form_.inverted ? static_cast<uint8_t>(255 - value) : value;
}

void SampleSink::put(const uint8_t* samples, int plane, int64_t x, int64_t y, int64_t count) {
  if (plane >= form_.channels) return;
  const int64_t at = y * image_->width + x;
  uint8_t* rgb = image_->rgb.data() + 3 * at;
  if (form_.channels == 1) {
    const int64_t step = form_.separate ? 1 : form_.samples;
    for (int64_t i = 0; i < count; ++i, rgb += 3) {
      const uint8_t value = sample(samples, i * step);
      if (form_.kind == TiffForm::Kind::kPalette) {
        std::memcpy(rgb, palette_[value].data(), 3);
      } else {
        rgb[0] = rgb[1] = rgb[2] = value;
      }
    }
    return;
  }
  uint8_t* out = form_.channels == 4 ? mixed_.data() + 4 * at : rgb;
  if (form_.separate) {
    for (int64_t i = 0; i < count; ++i) out[i * form_.channels + plane] = sample(samples, i);
  } else {
    for (int64_t i = 0; i < count; ++i)
      for (int c = 0; c < form_.channels; ++c)
        out[i * form_.channels + c] = sample(samples, i * form_.samples + c);
  }
}

void SampleSink::finish() {
  for (size_t i = 0; i < mixed_.size() / 4; ++i) {
    const uint8_t* in = &mixed_[4 * i];
    uint8_t* rgb = &image_->rgb[3 * i];
    if (form_.kind == TiffForm::Kind::kCmyk) {
      cmyk_to_rgb(in, rgb);
    } else {
      for (int c = 0; c < 3; ++c)
        rgb[c] = in[3] == 0     ? 0
                 : in[3] == 255 ? in[c]
                                : static_cast<uint8_t>(std::min(255, 255 * in[c] / in[3]));
    }
  }
}

}  // namespace vl3::media
