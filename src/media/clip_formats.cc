#include "media/clip_formats.h"

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "media/jpeg_row.h"
#include "media/quiet.h"

namespace vl3 {
namespace {

constexpr unsigned kMostStreams = 1000;
constexpr int64_t kMostUncut = 1 << 24;  // bytes of a packet of a transport stream; longer ones come in parts

constexpr const char* kContainers =
    // of cameras, phones and editors
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,live_flv,kux,asf,asf_o,mxf,gxf,"
    "dv,nut,nsv,rm,wtv,ty,pva,pmp,ivf,yuv4mpegpipe,gif,apng,webp_pipe,mjpeg,mpjpeg,mjpeg_2000,ingenient,"
    "smjpeg,swf,dhav,lmlm4,ifv,iv8,ipmovie,kv,lxf,mgsts,mods,mtv,nc,nuv,r3d,simbiosis_imx,ser,sdr2,mxg,mlv,"
    "cine,filmstrip,vividas,vivo,xmv,jv,ivr,moflex,mv,luodat,ogv,"
    // streams of one codec
    "h261,h263,h264,hevc,m4v,vc1,vc1test,obu,av1,avs,avs2,avs3,cavsvideo,dirac,dnxhd,ipu,"
    // of games and old systems
    "anm,argo_brp,avi,bethsoftvid,bfi,bink,bmv,c93,cdg,cdxl,dfa,dsicin,dxa,ea,film_cpk,flic,4xm,frm,gdv,hnm,"
    "idcin,iff,lvf,mm,mvi,paf,psxstr,rl2,roq,rpl,sga,siff,smk,smush,thp,3dostr,tiertexseq,tmv,txd,vmd,"
    "wc3movie,wsvqa,xv,yop,segafilm";

// What is read nowhere: other names of FFmpeg's, and why.
struct Kind {
  const char* names;
  const char* words;
};
constexpr Kind kRefused[] = {
    {"aa,aac,aax,ac3,ace,acm,act,ads,adp,adx,aea,afc,aiff,aix,alp,amr,amrnb,amrwb,apc,ape,apm,aptx,aptx_hd,"
     "argo_asf,argo_cvg,ast,au,avr,bfstm,binka,bit,boa,brstm,caf,codec2,codec2raw,daud,dcstr,derf,dfpwm,dsf,"
     "dss,dts,dtshd,ea_cdata,eac3,epaf,flac,fsb,fwse,g722,g723_1,g726,g726le,g729,genh,gsm,hca,hcom,ilbc,"
     "ircam,iss,kvag,loas,mca,mlp,mmf,mp3,mpc,mpc8,msf,msnwctcp,msp,mtaf,musx,nistsphere,nsp,oma,alaw,mulaw,"
     "vidc,f64be,f64le,f32be,f32le,s32be,s32le,s24be,s24le,s16be,s16le,s8,u32be,u32le,u24be,u24le,u16be,"
     "u16le,u8,pvf,qcp,redspark,rsd,rso,s337m,sbc,scd,sds,sdx,shn,sln,smaf,sol,sox,spdif,svag,svs,tak,truehd,"
     "tta,vag,voc,vpk,vqf,w64,wav,wsaud,wsd,wv,wve,xa,xvag,xwma,libgme,libopenmpt,osq,usm",
     "holds sound only"},
    {"aqtitle,ass,dvbsub,dvbtxt,jacosub,lrc,mcc,microdvd,mpl2,mpsub,pjs,realtext,sami,scc,srt,stl,"
     "subviewer,subviewer1,sup,tedcaptions,vobsub,vplayer,webvtt",
     "holds subtitles only"},
    {"hls,concat,dash,imf,webm_dash_manifest,sdp,rtsp,rtp,sap,image2,ffmetadata,fbpix",
     "is a list of other files or of addresses, and these are never followed"},
    {"rawvideo,bitpacked,v210,v210x,data,mpegtsraw",
     "is a row of samples that do not say how large their frames are"},
    {"tty,bin,xbin,idf,adf,sbg,svg_pipe", "is a text or a program that would have to be run to be seen"},
    {"alias_pix,brender_pix,fits,ico,image2pipe", "is a picture, not a clip"},
};

bool among(std::string_view list, std::string_view names) {
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    if (list.substr(at, end - at) == names) return true;
    at = end + 1;
  }
  return false;
}

// Several names of one container, "mov,mp4,…": any of them.
bool any_among(std::string_view list, std::string_view names) {
  for (size_t at = 0; at <= names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    if (among(list, names.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

std::string av_words(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  return text;
}

// What the file is, if nothing may be left out; null where its content says too little.
const AVInputFormat* probe(FileSource& source) {
  AVIOContext* io = source.io();
  if (avio_seek(io, 0, SEEK_SET) < 0) return nullptr;
  const AVInputFormat* format = nullptr;
  const int score = av_probe_input_buffer2(io, &format, "", quiet_log_context(), 0, 0);
  return score >= AVPROBE_SCORE_RETRY ? format : nullptr;
}

[[noreturn]] void refuse(FileSource& source, const std::string& name, int error) {
  require(error != AVERROR(ENOMEM), ErrorCode::kLimitExceeded,
          "[{}] has more than {} streams, or more in its headers than there is memory for", name,
          kMostStreams);
  const AVInputFormat* format = probe(source);
  if (format == nullptr || any_among(kContainers, format->name)) {
    fail(ErrorCode::kFormat, "[{}] is no clip that can be read: {} ({} bytes{}{})", name, av_words(error),
         source.size(), format != nullptr ? ", it looks like " : "", format != nullptr ? format->name : "");
  }
  for (const Kind& kind : kRefused) {
    if (any_among(kind.names, format->name))
      fail(ErrorCode::kUnsupported, "[{}] {} ({})", name, kind.words, format->name);
  }
  if (std::string_view(format->name).ends_with("_pipe"))
    fail(ErrorCode::kUnsupported, "[{}] is a picture, not a clip ({})", name, format->name);
  fail(ErrorCode::kUnsupported, "[{}] is a {} file ({}), a container that is not read", name, format->name,
       format->long_name != nullptr ? format->long_name : format->name);
}

bool is_cover(const AVStream& stream) { return (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0; }

[[noreturn]] void refuse_without_pictures(const AVFormatContext& container, const std::string& name) {
  const AVStream *sound = nullptr, *cover = nullptr, *subtitles = nullptr;
  for (unsigned i = 0; i < container.nb_streams; ++i) {
    const AVStream& stream = *container.streams[i];
    if (stream.codecpar->codec_type == AVMEDIA_TYPE_AUDIO) sound = &stream;
    if (stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO && is_cover(stream)) cover = &stream;
    if (stream.codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) subtitles = &stream;
  }
  if (sound != nullptr) {
    fail(ErrorCode::kUnsupported, "[{}] holds sound only ({}/{}){}", name, container.iformat->name,
         avcodec_get_name(sound->codecpar->codec_id), cover != nullptr ? " and a cover picture" : "");
  }
  if (subtitles != nullptr) {
    fail(ErrorCode::kUnsupported, "[{}] holds subtitles only ({}/{})", name, container.iformat->name,
         avcodec_get_name(subtitles->codecpar->codec_id));
  }
  fail(ErrorCode::kFormat, "[{}] has no video stream ({} streams)", name, container.nb_streams);
}

AVFormatContext* new_container(FileSource& source, const std::string& name) {
  AVFormatContext* container = avformat_alloc_context();
  require(container != nullptr, ErrorCode::kOutOfMemory, "[{}] no memory to open it", name);
  keep_quiet(*container);
  container->pb = source.io();
  container->max_streams =
      static_cast<int>(kMostStreams) + 1;  // above it FFmpeg leaves streams out, or has no memory for them
  // Whatever a file says of other ones, it is this one alone that is read.
  container->io_open = [](AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
    return AVERROR(EPERM);
  };
  return container;
}

AVDictionary* allowed() {
  AVDictionary* options = nullptr;
  av_dict_set(&options, "format_whitelist", kContainers, 0);
  av_dict_set(&options, "codec_whitelist", kClipCodecs, 0);
  av_dict_set(&options, "protocol_whitelist", "", 0);
  return options;
}

void check_codec(const ClipStream& clip, const std::string& name) {
  const AVCodecID id = clip.stream->codecpar->codec_id;
  const char* container = clip.container->iformat->name;
  if (id == AV_CODEC_ID_NONE) {
    char tag[AV_FOURCC_MAX_STRING_SIZE] = {};
    fail(ErrorCode::kUnsupported, "[{}] its frames are in a codec that is not known, \"{}\" in {}", name,
         av_fourcc_make_string(tag, clip.stream->codecpar->codec_tag), container);
  }
  const AVCodec* codec = avcodec_find_decoder(id);
  require(codec != nullptr, ErrorCode::kUnsupported, "[{}] no decoder for {}/{}", name, container,
          avcodec_get_name(id));
  require(among(kClipCodecs, codec->name), ErrorCode::kUnsupported,
          "[{}] {}/{} is not read: this codec draws texts or programs, or is not for files", name, container,
          avcodec_get_name(id));
}

}  // namespace

// Left out: hardware's (*_qsv, *_cuvid, *_v4l2m2m), wrapped_avframe (frames by their address), librsvg, ansi,
// bintext, xbin, idf (drawn text).
const char* const kClipCodecs =
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mpeg1video,mpegvideo,h261,"
    "h263,h263i,h263p,flv,mjpeg,mjpegb,gif,png,apng,webp,theora,wmv1,wmv2,wmv3,wmv3image,vc1,vc1image,"
    "msmpeg4,msmpeg4v1,msmpeg4v2,prores,dnxhd,rawvideo,ffv1,ffvhuff,huffyuv,hymt,utvideo,magicyuv,lagarith,"
    "qtrle,cinepak,dvvideo,jpeg2000,libopenjpeg,jpegls,libjxl,svq1,svq3,v210,v210x,v308,v408,v410,y41p,yuv4,"
    "ayuv,r210,r10k,avrp,avrn,avui,aic,alias_pix,agm,amv,anm,arbc,argo,asv1,asv2,aasc,aura,aura2,avs,"
    "bethsoftvid,binkvideo,bitpacked,bmp,bmv_video,brender_pix,c93,cavs,cdgraphics,cdtoons,cdxl,cfhd,"
    "clearvideo,cljr,cllc,cpia,cri,camstudio,cyuv,dds,dfa,dirac,dpx,dsicinvideo,dxa,dxtory,dxv,eacmv,eamad,"
    "eatgq,eatgv,eatqi,8bps,escape124,escape130,exr,fic,flashsv,flashsv2,flic,fmvc,4xm,fraps,frwu,g2m,gdv,"
    "gem,hap,hnm4video,hq_hqa,hqx,idcinvideo,iff,imm4,imm5,indeo2,indeo3,indeo4,indeo5,interplayvideo,ipu,"
    "jv,kgv1,kmvc,loco,lscr,m101,mdec,mimic,mmvideo,mobiclip,motionpixels,msa1,mscc,msp2,msrle,mss1,mss2,"
    "msvideo1,mszh,mts2,mv30,mvc1,mvc2,mvdv,mvha,mwsc,mxpeg,notchlc,nuv,paf_video,pam,pbm,pcx,pfm,pgm,pgmyuv,"
    "pgx,photocd,pictor,pixlet,ppm,prosumer,psd,ptx,qdraw,qoi,qpeg,rasc,rl2,roqvideo,rpza,rscc,rv10,rv20,"
    "rv30,rv40,sanm,scpr,screenpresso,sga,sgi,sgirle,sheervideo,simbiosis_imx,smackvid,smc,smvjpeg,snow,"
    "sp5x,speedhq,srgc,sunrast,targa,targa_y216,tdsc,thp,tiertexseqvideo,tiff,tmv,truemotion1,truemotion2,"
    "truemotion2rt,camtasia,tscc2,txd,ultimotion,vb,vbn,vble,vcr1,vmdvideo,vmnc,vp3,vp4,vp5,vp6,vp6a,vp6f,"
    "vp7,vqavideo,wcmv,wnv1,xan_wc3,xan_wc4,xbm,xl,xpm,xwd,ylc,yop,012v,zerocodec,zlib,zmbv";

ClipStream open_clip_stream(FileSource& source, const std::string& name) {
  AVFormatContext* raw = new_container(source, name);
  AVDictionary* options = allowed();
  // Of a GIF a delay of 1/100 s is one, as FFmpeg 8 has it; only 0 is none.
  av_dict_set(&options, "min_delay", "1", 0);
  // FFmpeg tells it from one picture only where it is short.
  const AVInputFormat* format = is_row_of_jpegs(source.source()) ? av_find_input_format("mjpeg") : nullptr;
  const int opened = avformat_open_input(&raw, nullptr, format, &options);  // frees raw where it fails
  av_dict_free(&options);
  if (opened < 0) refuse(source, name, opened);
  ClipStream clip;
  clip.container.reset(raw);
  const int found = avformat_find_stream_info(raw, nullptr);
  require(found >= 0, ErrorCode::kFormat, "[{}] has no readable streams: {}", name, av_words(found));
  require(raw->nb_streams <= kMostStreams, ErrorCode::kLimitExceeded, "[{}] has more than {} streams", name,
          kMostStreams);
  for (unsigned i = 0; i < raw->nb_streams; ++i) {
    AVStream* stream = raw->streams[i];
    const bool video = stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !is_cover(*stream);
    if (video && clip.stream == nullptr) {  // the first one, as in the reference
      clip.stream = stream;
    } else {
      stream->discard = AVDISCARD_ALL;
    }
  }
  if (clip.stream == nullptr) refuse_without_pictures(*raw, name);
  check_codec(clip, name);
  return clip;
}

ClipStream open_uncut(FileSource& source, const std::string& name, const AVStream& stream) {
  AVFormatContext* raw = new_container(source, name);
  raw->flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN;
  AVDictionary* options = allowed();
  av_dict_set_int(&options, "max_packet_size", kMostUncut, 0);
  const int opened = avformat_open_input(&raw, nullptr, nullptr, &options);  // frees raw where it fails
  av_dict_free(&options);
  ClipStream clip;
  if (opened < 0) return clip;
  clip.container.reset(raw);
  for (unsigned i = 0; i < raw->nb_streams; ++i) {
    AVStream& other = *raw->streams[i];
    const bool same = other.index == stream.index && other.id == stream.id &&
                      other.codecpar->codec_id == stream.codecpar->codec_id;
    if (same) clip.stream = &other;
    other.discard = same ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
  return clip;
}

}  // namespace vl3
